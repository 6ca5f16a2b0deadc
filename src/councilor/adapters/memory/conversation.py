"""A model with tools in memory, for tests: it says what a function of the request says.

Rules:
- What the function raises is raised; a coroutine that it gives is awaited, so it may hang.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from councilor.ports.conversation import Heard, Turn, TurnRequest

__all__ = ["ScriptedConversation"]

Script = Callable[[TurnRequest], Turn | Awaitable[Turn]]


class ScriptedConversation:
    """A `Conversation` that has its turns as it is told.

    Args:
        script: what it says to a request.
        model: its name.
    """

    def __init__(self, script: Script, *, model: str = "house-model") -> None:
        self._script = script
        self._model = model
        self.asked: list[TurnRequest] = []

    @property
    def model(self) -> str:
        """Its name."""
        return self._model

    async def turn(self, request: TurnRequest, *, hear: Callable[[Heard], None]) -> Turn:
        """What the script says."""
        self.asked.append(request)
        said = self._script(request)
        turn = said if isinstance(said, Turn) else await said
        hear(Heard(line=turn.text[:200], tokens=turn.spent.prompt_tokens + turn.spent.completion_tokens, tries=1))
        return turn
