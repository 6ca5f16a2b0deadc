"""Names of span attributes about models, agents and tools: the one place that changes when a convention does.

Rules:
- OpenTelemetry's `gen_ai.*` names as of version 1.37.0, which are the same in 1.44.0 of its Python package. They are in
  development and have since moved to a repository of their own, whose first release may rename some; `VERSION` says
  what is meant here. The earlier `gen_ai.system` is not sent beside `gen_ai.provider.name`.
- `openinference.span.kind` says what a span is to tools for language models; of OpenInference nothing else is used.
- `councilor.*` is what no convention has a name for.
- What a model is told and says is an attribute only for who asks for it; see `ports/tracing.py`.

It computes attributes and sends nothing.

Source: OpenTelemetry semantic conventions 1.37.0, `docs/gen-ai/gen-ai-spans.md` and `gen-ai-agent-spans.md`;
OpenInference specification, "Span Kinds".
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["VERSION", "Found", "SpanRole", "agent", "answered", "answered_text", "asked", "asked_text", "role"]

VERSION = "1.37.0"
"""Of OpenTelemetry's semantic conventions."""

Found = dict[str, object]


class SpanRole(StrEnum):
    """What a span is, in OpenInference's words."""

    LLM = "LLM"
    """A call of a language model."""
    AGENT = "AGENT"
    """A worker's iteration."""
    TOOL = "TOOL"
    """Something that is executed: a job in the sandbox, a tool."""
    CHAIN = "CHAIN"
    """A link between others: the task, a step."""
    GUARDRAIL = "GUARDRAIL"
    """What lets through or refuses: a gate."""
    EVALUATOR = "EVALUATOR"
    """What judges: evidence, the council."""


def role(role: SpanRole) -> Found:
    """What a span is."""
    return {"openinference.span.kind": role.value}


def asked(*, model: str, provider: str, max_tokens: int, server: str = "", port: int | None = None) -> Found:
    """A model that is asked for a JSON object.

    Args:
        provider: whose protocol is spoken: `openai`.
        server: the host's name.
    """
    found = role(SpanRole.LLM) | {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "gen_ai.request.max_tokens": max_tokens,
        "gen_ai.output.type": "json",
    }
    if server:
        found |= {"server.address": server, "server.port": port}
    return found


def answered(*, model: str, input_tokens: int, output_tokens: int, finish_reason: str) -> Found:
    """What a model's server says of its answer."""
    return {
        "gen_ai.response.model": model or None,
        "gen_ai.usage.input_tokens": input_tokens,
        "gen_ai.usage.output_tokens": output_tokens,
        "gen_ai.response.finish_reasons": [finish_reason] if finish_reason else None,
    }


def asked_text(system: str, user: str) -> Found:
    """What a model is told."""
    return {
        "gen_ai.system_instructions": [_part(system)],
        "gen_ai.input.messages": [{"role": "user", "parts": [_part(user)]}],
    }


def answered_text(text: str, *, finish_reason: str) -> Found:
    """What a model says."""
    message = {"role": "assistant", "parts": [_part(text)], "finish_reason": finish_reason or "stop"}
    return {"gen_ai.output.messages": [message]}


def agent(*, name: str, model: str | None = None) -> Found:
    """A worker that is given an order."""
    return role(SpanRole.AGENT) | {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "councilor",
        "gen_ai.agent.name": name,
        "gen_ai.request.model": model,
    }


def _part(text: str) -> dict[str, str]:
    return {"type": "text", "content": text}
