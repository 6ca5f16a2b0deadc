"""A model in memory, for tests: it says what a function of the question says.

Rules:
- What the function raises is raised; a coroutine that it gives is awaited, so it may hang.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from councilor.ports.chat import Answer, Question, Spent

__all__ = ["ScriptedChat"]

Script = Callable[[Question], Mapping[str, Any] | Awaitable[Mapping[str, Any]]]


class ScriptedChat:
    """A `Chat` that answers as it is told.

    Args:
        script: what it says to a question.
        model: its name.
        told: the name that its server gives.
    """

    def __init__(self, script: Script, *, model: str = "house-model", told: str = "") -> None:
        self._script = script
        self._model = model
        self._told = told
        self.asked: list[Question] = []

    @property
    def model(self) -> str:
        """Its name."""
        return self._model

    async def ask(self, question: Question) -> Answer:
        """What the script says."""
        self.asked.append(question)
        said = self._script(question)
        data = said if isinstance(said, Mapping) else await said
        return Answer(data=data, model=self._told, spent=Spent(prompt_tokens=10, completion_tokens=5), tries=1)
