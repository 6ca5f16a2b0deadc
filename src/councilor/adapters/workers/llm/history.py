"""The conversation so far, kept within what the model may be sent at once.

Rules:
- The system prompt and the order are always sent.
- When the rest no longer fits, it is shortened to `FILLED` of the room, in this order and only as far as is needed:
  results of tools, the oldest first; then what old calls were made with; then old words of the model; then the newest
  results; then the oldest turns go as a whole, and the order says so.
- The same conversation is always shortened in the same way, and not again at each turn, so that a server can go on
  using what it has read.
- Tokens are estimated by characters, corrected by what the server counted at the turn before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

from councilor.ports.conversation import Message, Role, ToolCall

__all__ = ["History"]

CHARACTERS_PER_TOKEN = 4.0
FILLED = 0.6
NEWEST = 4
"""So many results are left whole for as long as possible."""
KEPT_CHARACTERS = 200
KEPT_OF_NEWEST = 2000
DROPPED = "\n\n[The oldest turns are left out here: what they changed is in the workspace.]"
OVERHEAD = 30
"""Characters around a message or call."""


class History:
    """The messages of one iteration.

    Args:
        limit_tokens: what may be sent at once.
        tools_characters: what the tools' forms take.
    """

    def __init__(self, *, system: str, order: str, limit_tokens: int, tools_characters: int) -> None:
        self._messages = [Message(role=Role.SYSTEM, text=system), Message(role=Role.USER, text=order)]
        self._limit = float(limit_tokens)
        self._tools_characters = tools_characters
        self._per_token = CHARACTERS_PER_TOKEN

    @property
    def messages(self) -> tuple[Message, ...]:
        """What the model is sent."""
        return tuple(self._messages)

    @property
    def tokens(self) -> int:
        """An estimate of what sending it takes."""
        return int(self._characters() / self._per_token) + 1

    def add(self, message: Message) -> None:
        """Go on with a message."""
        self._messages.append(message)

    def learn(self, prompt_tokens: int) -> None:
        """Correct the estimate by what the server counted for what is there now."""
        if prompt_tokens > 0:
            self._per_token = min(max(self._characters() / prompt_tokens, 1.0), 8.0)

    def lower(self) -> None:
        """The server says that it was too much: allow less."""
        self._limit = min(self._limit, float(self.tokens)) * 0.7

    def fit(self) -> bool:
        """Shorten what is too long; whether it fits then."""
        if self.tokens <= self._limit:
            return True
        for place, shorter in self._ways():
            self._messages[place] = shorter(self._messages[place])
            if self.tokens <= self._limit * FILLED:
                return True
        while self.tokens > self._limit and self._drop_turn():
            pass
        return self.tokens <= self._limit

    def _ways(self) -> Iterator[tuple[int, Callable[[Message], Message]]]:
        """Places, and how each is made shorter, mildest first."""
        results = [place for place, item in enumerate(self._messages) if item.role is Role.TOOL]
        answers = [place for place, item in enumerate(self._messages) if item.role is Role.ASSISTANT]
        for place in results[:-NEWEST]:
            yield place, lambda message: _shortened(message, KEPT_CHARACTERS)
        for place in answers[:-NEWEST]:
            yield place, _without_arguments
        for place in answers[:-1]:
            yield place, lambda message: _shortened(message, KEPT_CHARACTERS)
        for place in results[-NEWEST:]:
            yield place, lambda message: _shortened(message, KEPT_OF_NEWEST)

    def _drop_turn(self) -> bool:
        """Leave the oldest turn out, its results with it; whether there was one besides the newest."""
        turns = [place for place, item in enumerate(self._messages) if item.role is Role.ASSISTANT]
        if len(turns) < 2:
            return False
        del self._messages[turns[0] : turns[1]]
        order = self._messages[1]
        if not order.text.endswith(DROPPED):
            self._messages[1] = replace(order, text=order.text + DROPPED)
        return True

    def _characters(self) -> int:
        return self._tools_characters + sum(
            len(item.text) + OVERHEAD + sum(len(call.name) + len(call.arguments) + OVERHEAD for call in item.calls)
            for item in self._messages
        )


def _shortened(message: Message, kept: int) -> Message:
    text = message.text
    if len(text) <= kept + 100:
        return message
    return replace(message, text=f"{text[:kept]}\n[{len(text) - kept} older characters were left out here]")


def _without_arguments(message: Message) -> Message:
    return replace(message, calls=tuple(_plain(call) for call in message.calls))


def _plain(call: ToolCall) -> ToolCall:
    if len(call.arguments) <= KEPT_CHARACTERS:
        return call
    found = json.loads(call.arguments)  # of the history's calls they are always an object
    short = {
        key: value if not isinstance(value, str) or len(value) <= KEPT_CHARACTERS else value[:20] + "[left out]"
        for key, value in found.items()
        if isinstance(value, str | int | bool)
    }
    return replace(call, arguments=json.dumps(short))
