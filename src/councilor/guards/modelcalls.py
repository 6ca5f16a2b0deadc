"""The model-call guard: one span and two counts of tokens for each question that a model is asked.

What is asked and answered is among the span's attributes only where the tracer wants it. A model's server says how many
tokens it took; it is believed for the metric and for nothing else. Deadlines and further tries are the client's own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from councilor.domain import genai
from councilor.ports.chat import Answer, Chat, Question
from councilor.ports.metrics import MetricsBackend
from councilor.ports.tracing import Span, SpanKind, Tracer

__all__ = ["TracedChat"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TracedChat:
    """The same model, its calls seen."""

    chat: Chat
    tracer: Tracer
    metrics: MetricsBackend
    provider: str = "openai"
    """Whose protocol is spoken."""
    server: str = ""
    """Name of the host that is asked."""
    port: int | None = None

    @property
    def model(self) -> str:
        """The model's name as it is configured."""
        return self.chat.model

    async def ask(self, question: Question) -> Answer:
        """Ask; see the port."""
        asked = genai.asked(
            model=self.model,
            provider=self.provider,
            max_tokens=question.max_tokens,
            server=self.server,
            port=self.port,
        )
        # The model's name is configured, so names of spans stay few.
        with self.tracer.span(f"chat {self.model}", kind=SpanKind.CLIENT, attributes=asked) as span:
            span.set({"councilor.form": question.form})
            if self.tracer.content:
                span.set(genai.asked_text(question.system, question.user))
            answer = await self.chat.ask(question)
            self._tell(span, answer)
        return answer

    def _tell(self, span: Span, answer: Answer) -> None:
        spent = answer.spent
        span.set(
            genai.answered(
                model=answer.model,
                input_tokens=spent.prompt_tokens,
                output_tokens=spent.completion_tokens,
                finish_reason=answer.finish_reason,
            )
            | {"councilor.tries": answer.tries}
        )
        if self.tracer.content:
            span.set(genai.answered_text(json.dumps(answer.data), finish_reason=answer.finish_reason))
        for direction, tokens in (("input", spent.prompt_tokens), ("output", spent.completion_tokens)):
            self.metrics.counter("v3.model.tokens", {"model": self.model, "direction": direction}, tokens)
