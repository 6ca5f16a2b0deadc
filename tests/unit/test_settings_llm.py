"""Which models may be configured to work."""

from __future__ import annotations

from typing import Any

import pytest

from councilor.domain.worker import ModelUse, WorkerProfile
from councilor.errors import InputError
from councilor.settings import Settings, load_settings

GOOD = {"kind": "llm", "endpoint": "http://127.0.0.1:8000/v1", "model": "qwen2.5-coder-32b"}
PRICED = {"price_input_usd": 1.0, "price_output_usd": 2.0}


def configured(**worker: Any) -> Settings:
    return load_settings(flags={f"workers.house.{key}": value for key, value in worker.items()})


def test_an_endpoint_and_a_model_are_enough() -> None:
    profile = configured(**GOOD).profile("house")
    assert profile == WorkerProfile(
        name="house",
        kind="llm",
        model="qwen2.5-coder-32b",
        model_use=ModelUse(endpoint="http://127.0.0.1:8000/v1"),
    )


def test_limits_and_prices_reach_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V3_WORKERS__HOUSE__MAX_TURNS", "7")
    use = configured(**GOOD, **PRICED, api_key_env="A_KEY", max_cost_usd=0.5, temperature=0).profile("house").model_use
    assert use is not None
    assert (use.max_turns, use.api_key_env, use.max_cost_usd, use.temperature) == (7, "A_KEY", 0.5, 0)
    assert (use.price_input_usd, use.price_output_usd, use.price_cached_usd) == (1.0, 2.0, None)


@pytest.mark.parametrize(
    "worker",
    [
        {"kind": "llm"},
        {"kind": "llm", "model": "m"},
        {"kind": "llm", "endpoint": GOOD["endpoint"]},
        GOOD | {"endpoint": "http://models.example/v1"},
        GOOD | {"endpoint": "https://me:secret@models.example/v1"},
        GOOD | {"endpoint": "ftp://models.example"},
        GOOD | {"api_key_env": "sk-123"},
        GOOD | {"api_key": "sk-123"},
        GOOD | {"max_turns": 0},
        GOOD | {"max_tokens": 0},
        GOOD | {"context_tokens": 10},
        GOOD | {"temperature": 3},
        GOOD | {"idle_timeout_s": 0},
        GOOD | {"price_input_usd": -1},
        GOOD | {"max_cost_usd": 1},
        GOOD | {"max_cost_usd": 1, "price_input_usd": 1},
        GOOD | {"command": ["x"]},
        GOOD | {"credentials": ["A_KEY"]},
        GOOD | {"model_hosts": ["a.example:443"]},
        GOOD | {"prompt_by": "file"},
        {"kind": "repair", "endpoint": GOOD["endpoint"]},
        {"kind": "repair", "max_turns": 3},
        {"kind": "command", "command": ["x"], "api_key_env": "A_KEY"},
    ],
)
def test_what_does_not_fit_is_refused(worker: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        configured(**worker)


def test_a_secret_in_the_endpoint_is_not_repeated() -> None:
    with pytest.raises(InputError) as caught:
        configured(**GOOD | {"endpoint": "https://me:hunter2@models.example/v1"})
    assert "hunter2" not in f"{caught.value} {caught.value.hint()}"


def test_other_kinds_have_no_model_use() -> None:
    assert load_settings().profile("repair").model_use is None
