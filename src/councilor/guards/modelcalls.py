"""The model-call guard: one span and two counts of tokens for each call of a model, a judge's or a worker's.

What is asked and answered is among the span's attributes only where the tracer wants it. A model's server says how many
tokens it took; it is believed for the metric and for nothing else. Deadlines and further tries are the client's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from councilor.domain import genai
from councilor.ports.chat import Answer, Chat, Question, Spent
from councilor.ports.conversation import Conversation, Heard, Turn, TurnRequest
from councilor.ports.metrics import MetricsBackend
from councilor.ports.tracing import Span, SpanKind, Tracer

__all__ = ["TracedChat", "TracedConversation"]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """How calls of one model are seen."""

    tracer: Tracer
    metrics: MetricsBackend
    provider: str = "openai"
    """Whose protocol is spoken."""
    endpoint: str = ""
    """URL that is asked; empty: not told."""

    def _asked(self, model: str, max_tokens: int) -> genai.Found:
        place = urlsplit(self.endpoint)
        return genai.asked(
            model=model,
            provider=self.provider,
            max_tokens=max_tokens,
            server=place.hostname or "",
            port=place.port or (443 if place.scheme == "https" else 80),
        )

    def _tell(self, span: Span, *, asked: str, answered: str, text: str, spent: Spent, tries: int, reason: str) -> None:
        """Tell of an answer.

        Args:
            asked: the model's configured name.
            answered: its name as the server tells it.
            reason: why it stopped.
        """
        told = genai.answered(
            model=answered,
            input_tokens=spent.prompt_tokens,
            output_tokens=spent.completion_tokens,
            finish_reason=reason,
        )
        span.set(told | {"councilor.tries": tries})
        if self.tracer.content:
            span.set(genai.answered_text(text, finish_reason=reason))
        for direction, tokens in (("input", spent.prompt_tokens), ("output", spent.completion_tokens)):
            self.metrics.counter("v3.model.tokens", {"model": asked, "direction": direction}, tokens)


@dataclass(frozen=True, kw_only=True, slots=True)
class TracedChat(_Seen):
    """The same model, its calls seen."""

    chat: Chat

    @property
    def model(self) -> str:
        """The model's name as it is configured."""
        return self.chat.model

    async def ask(self, question: Question) -> Answer:
        """Ask; see the port."""
        asked = self._asked(self.model, question.max_tokens)
        # The model's name is configured, so names of spans stay few.
        with self.tracer.span(f"chat {self.model}", kind=SpanKind.CLIENT, attributes=asked) as span:
            span.set({"councilor.form": question.form})
            if self.tracer.content:
                span.set(genai.asked_text(question.system, question.user))
            answer = await self.chat.ask(question)
            self._tell(
                span,
                asked=self.model,
                answered=answer.model,
                text=json.dumps(answer.data),
                spent=answer.spent,
                tries=answer.tries,
                reason=answer.finish_reason,
            )
        return answer


@dataclass(frozen=True, kw_only=True, slots=True)
class TracedConversation(_Seen):
    """The same model at work, its turns seen; of a conversation, what is new is told only."""

    conversation: Conversation

    @property
    def model(self) -> str:
        """The model's name as it is configured."""
        return self.conversation.model

    async def turn(self, request: TurnRequest, *, hear: Callable[[Heard], None]) -> Turn:
        """Let the model have its turn; see the port."""
        asked = self._asked(self.model, request.max_tokens) | {"gen_ai.output.type": "text"}
        with self.tracer.span(f"chat {self.model}", kind=SpanKind.CLIENT, attributes=asked) as span:
            if self.tracer.content and request.messages:
                span.set(genai.asked_text(request.messages[0].text, request.messages[-1].text))
            turn = await self.conversation.turn(request, hear=hear)
            calls = [{"tool": call.name, "arguments": call.arguments} for call in turn.calls]
            self._tell(
                span,
                asked=self.model,
                answered=turn.model,
                text=f"{turn.text}\n{json.dumps(calls)}" if calls else turn.text,
                spent=turn.spent,
                tries=turn.tries,
                reason=turn.finish_reason,
            )
        return turn
