"""Which models may be configured to judge."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from councilor.adapters.memory.clock import FakeClock, SeededRandomness
from councilor.app.guarding import make_guarding
from councilor.app.judges import model_judges
from councilor.domain.verdict import Judge
from councilor.errors import InputError
from councilor.pipeline.council import ModelJudge
from councilor.ports.metrics import NoMetrics
from councilor.settings import Settings, explain, load_settings

GOOD = {"name": "house", "endpoint": "https://models.example/v1", "model": "some-model"}


def with_judges(*judges: dict[str, Any]) -> Any:
    return load_settings(flags={"council.judges": list(judges)})


def test_none_by_default() -> None:
    settings = load_settings()
    assert settings.council.judges == ()
    assert configured(settings) == ()


def configured(settings: Settings) -> Sequence[ModelJudge]:
    randomness = SeededRandomness()
    guarding = make_guarding(settings, clock=FakeClock(), metrics=NoMetrics(), randomness=randomness)
    return model_judges(settings, guarding=guarding, randomness=randomness)


def test_a_judge_needs_a_name_an_endpoint_and_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V3_COUNCIL__JUDGES", json.dumps([GOOD, GOOD | {"name": "own", "seat": "technical_auditor"}]))
    settings = load_settings()
    first, second = settings.council.judges
    assert (first.seat, first.timeout_s, first.max_tokens, first.api_key_env) == (
        Judge.QUALITY_EVALUATOR,
        4,
        1500,
        None,
    )
    assert second.seat is Judge.TECHNICAL_AUDITOR
    made = configured(settings)
    assert [(judge.name, judge.chat.model) for judge in made] == [("house", "some-model"), ("own", "some-model")]
    shown = next(item.value for item in explain(settings) if item.key == "council.judges")
    assert json.loads(json.dumps(shown))[0]["endpoint"] == GOOD["endpoint"]


@pytest.mark.parametrize(
    "judge",
    [
        {"name": "house"},
        GOOD | {"endpoint": "http://models.example/v1"},
        GOOD | {"endpoint": "ftp://models.example"},
        GOOD | {"endpoint": "https://me:secret@models.example/v1"},
        GOOD | {"endpoint": "https://models.example/v1#x"},
        GOOD | {"endpoint": ""},
        GOOD | {"model": ""},
        GOOD | {"name": "Has Spaces"},
        GOOD | {"seat": "emperor"},
        GOOD | {"api_key_env": "sk-123"},
        GOOD | {"api_key": "sk-123"},
        GOOD | {"timeout_s": 0},
        GOOD | {"max_tokens": -1},
    ],
)
def test_what_cannot_be_asked_safely_is_refused(judge: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        with_judges(judge)
    assert str(caught.value.field).startswith("council.judges")
    assert "secret" not in caught.value.message and "sk-123" not in caught.value.message


def test_names_are_unique_and_there_are_at_most_eight() -> None:
    with pytest.raises(InputError):
        with_judges(GOOD, GOOD)
    with pytest.raises(InputError):
        with_judges(*(GOOD | {"name": f"m{number}"} for number in range(9)))
    assert len(with_judges(*(GOOD | {"name": f"m{number}"} for number in range(8))).council.judges) == 8


@pytest.mark.parametrize("rounds", [-1, 3])
def test_rounds_of_debate_are_bounded(rounds: int) -> None:
    with pytest.raises(InputError):
        load_settings(flags={"council.debate_rounds": rounds})


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:8000/v1", "http://localhost:11434/v1", "http://[::1]:1/v1"])
def test_this_machine_needs_no_https(endpoint: str) -> None:
    assert with_judges(GOOD | {"endpoint": endpoint}).council.judges[0].endpoint == endpoint
