"""Which family a model is of."""

from __future__ import annotations

import pytest

from councilor.domain.modelname import families, related


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4.1-mini", {"gpt"}),
        ("openai/gpt-5", {"gpt"}),
        ("o3", {"gpt"}),
        ("o4-mini-2025-04-16", {"gpt"}),
        ("codex-mini-latest", {"gpt"}),
        ("claude-sonnet-4-5", {"claude"}),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", {"claude"}),
        ("models/gemini-2.5-pro", {"gemini"}),
        ("gemma3:27b", {"gemini"}),
        ("Qwen2.5-Coder-32B-Instruct", {"qwen"}),
        ("qwq:32b", {"qwen"}),
        ("codestral-latest", {"mistral"}),
        ("meta-llama/Llama-3.3-70B", {"llama"}),
        ("deepseek-r1-distill-qwen-32b", {"deepseek", "qwen"}),
        ("house-model-7", {"house-model-7"}),
        ("", set()),
    ],
)
def test_the_family(model: str, family: set[str]) -> None:
    assert families(model) == family


def test_related() -> None:
    assert related("gpt-5", "OpenAI/o3")
    assert related("house-model-7", "House-Model-7")
    assert not related("house-model-7", "house-model-8")
    assert not related("claude-opus-4", "gpt-5")
    assert not related("", "")
