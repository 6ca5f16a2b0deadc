"""Whom a breaker of a model stands before."""

from __future__ import annotations

from types import SimpleNamespace

from councilor.adapters.memory.clock import FakeClock, SeededRandomness
from councilor.app.guarding import make_guarding
from councilor.app.judges import model_judges
from councilor.app.modelworker import make_model_worker
from councilor.ports.metrics import NoMetrics
from councilor.settings import load_settings

JUDGE = {"name": "house", "endpoint": "http://127.0.0.1:9/v1", "model": "a"}
WORKER = {"kind": "llm", "endpoint": "http://127.0.0.1:8/v1", "model": "b"}


def test_a_judge_and_a_worker_of_one_name_are_two_backends(tmp_path):
    settings = load_settings(
        flags={"data_dir": str(tmp_path), "council.judges": [JUDGE], "workers.house": WORKER},
    )
    clock, randomness = FakeClock(), SeededRandomness()
    guarding = make_guarding(settings, clock=clock, metrics=NoMetrics(), randomness=randomness)
    model_judges(settings, guarding=guarding, randomness=randomness)
    runtime = SimpleNamespace(guarding=guarding, clock=clock, randomness=randomness)
    make_model_worker(settings.profile("house"), SimpleNamespace(runtime=runtime, sandbox=None))
    assert [breaker.name for breaker in guarding.breakers.states()] == ["openai:house", "worker:house"]
