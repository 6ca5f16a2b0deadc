"""The loop: limits are checked, the model has its turn, its calls are done, until it finishes or something ends it.

Rules:
- Before each turn: turns, tokens, cost and time that are left, and whether the conversation fits. Whatever ends the
  loop is an `Ending` with a reason in our own words; only cancellation and a sandbox that fails come out as exceptions.
- Results of tools are data: quoted with the iteration's nonce, their length bounded.
- A call that cannot be done is answered with what is wrong with it. What the endpoint does wrong is tried again by the
  conversation's adapter, and is over when that gives up.
- A heartbeat with turns, tokens, cost and the last line goes out with everything that happens, at most four a second,
  and at least every five seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from councilor.adapters.workers.llm.budget import Budget
from councilor.adapters.workers.llm.history import History
from councilor.adapters.workers.llm.prompt import FEW_LEFT, LEFT_OUT, SAY_LESS, USE_TOOLS
from councilor.adapters.workers.llm.repeats import Repeats
from councilor.adapters.workers.llm.tools import FORMS, BadCallError, check_call, recorded
from councilor.adapters.workers.llm.transcript import Transcript
from councilor.adapters.workers.llm.workbench import ToolResult, Workbench
from councilor.domain.quoting import Quoter
from councilor.domain.secret import plain
from councilor.domain.worker import ModelUse, WorkerOutcome
from councilor.errors import TooLongError, UnavailableError
from councilor.guards.standstill import passage
from councilor.ports.chat import Spent
from councilor.ports.clock import Clock
from councilor.ports.conversation import Conversation, Heard, Message, Role, ToolCall, Turn, TurnRequest
from councilor.ports.worker import Progress

__all__ = ["Ending", "Loop", "timed_out"]

RESULT_CHARACTERS = 32_000
MOST_CALLS = 16
"""In one turn."""
MOST_LOWERED = 4
FEW = 3
HEARTBEAT_S = 0.25
SILENCE_S = 5.0
LINE_CHARACTERS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How the loop ended."""

    outcome: WorkerOutcome
    ended: str = ""
    """What ended it before it was done."""
    report: str | None = None
    """The model's own."""


def timed_out(limit_s: float) -> Ending:
    """The ending of a loop whose time is over."""
    return Ending(outcome=WorkerOutcome.TIMED_OUT, ended=f"it did not end within {limit_s:.0f} s")


@dataclass(kw_only=True, slots=True)
class Loop:
    """One iteration's."""

    use: ModelUse
    conversation: Conversation
    workbench: Workbench
    history: History
    budget: Budget
    transcript: Transcript
    quoter: Quoter
    clock: Clock
    emit: Callable[[Progress], None]
    limit_s: float
    deadline_s: float
    """When its time is over, by the clock."""
    said: str = ""
    """The model's last words."""
    repeats: Repeats = field(default_factory=Repeats)
    _lowered: int = 0
    _refused: str = ""
    """What the server said of a conversation that was too long."""
    _phase: str = "asking"
    _line: str = ""
    _coming: int = 0
    """Tokens of the turn that is under way."""
    _beat_s: float = float("-inf")

    async def run(self) -> Ending:
        """Go on until something ends it."""
        while True:
            if (ending := await self._round()) is not None:
                self._say("ended")
                return ending

    async def beat(self) -> None:
        """Send a heartbeat when nothing else has for a while; for ever."""
        while True:
            await self.clock.sleep(SILENCE_S)
            if self.clock.monotonic() - self._beat_s >= SILENCE_S:
                self._say(at_once=True)

    async def _round(self) -> Ending | None:
        await passage()
        if self._left_s() <= 0:
            return timed_out(self.limit_s)
        fits = self.history.fit()
        over = self.budget.exceeded(prompt_tokens=self.history.tokens)
        if over or not fits:
            return _failed(over or self._refused or "the conversation no longer fits into its context")
        try:
            turn = await self._ask()
        except TooLongError as error:
            self._lowered, self._refused = self._lowered + 1, error.message
            self.history.lower()
            return None if self._lowered <= MOST_LOWERED else _failed(error.message)
        except UnavailableError as error:
            return timed_out(self.limit_s) if self._left_s() <= 0 else _failed(error.message)
        return await self._do(turn)

    async def _ask(self) -> Turn:
        tokens = self.history.tokens
        request = TurnRequest(
            messages=self.history.messages,
            tools=FORMS,
            max_tokens=self.budget.answer_tokens(prompt_tokens=tokens),
            idle_timeout_s=self.use.idle_timeout_s,
            timeout_s=max(min(self.use.call_timeout_s, self._left_s()), 0.01),
        )
        self.budget.turns += 1
        self._coming = 0
        self._say("asking", self._line)
        try:
            turn = await self.conversation.turn(request, hear=self._hear)
        except BaseException:
            # Nobody told what it took; somebody may have to pay for it.
            self.budget.add(Spent(prompt_tokens=self._coming))
            raise
        finally:
            self._coming = 0
        self.budget.add(turn.spent)
        if turn.tries == 1:
            self.history.learn(turn.spent.prompt_tokens)
        self.transcript.note(
            "answer",
            turn=self.budget.turns,
            text=turn.text,
            calls=[{"id": call.id, "tool": call.name, "arguments": call.arguments} for call in turn.calls],
            cut=turn.cut,
            model=turn.model,
            tries=turn.tries,
            tokens=[turn.spent.prompt_tokens, turn.spent.cached_tokens, turn.spent.completion_tokens],
        )
        return turn

    async def _do(self, turn: Turn) -> Ending | None:
        self.said = turn.text.strip() or self.said
        self.history.add(
            Message(role=Role.ASSISTANT, text=turn.text or ("" if turn.calls else "(nothing)"), calls=_recorded(turn))
        )
        for number, call in enumerate(turn.calls):
            if number >= MOST_CALLS:
                self._answer(call, LEFT_OUT.format(most=MOST_CALLS))
            elif (ending := await self._call(call, cut=turn.cut)) is not None:
                return ending
        if not turn.calls:
            self.repeats.said_only()
            self._tell(SAY_LESS.format(tokens=self.use.max_tokens) if turn.cut else USE_TOOLS)
        return _failed(self.repeats.over) if self.repeats.over else None

    async def _call(self, call: ToolCall, *, cut: bool) -> Ending | None:
        try:
            arguments = check_call(call)
        except BadCallError as error:
            self.repeats.could_not()
            more = " " + SAY_LESS.format(tokens=self.use.max_tokens) if cut else ""
            self._answer(call, f"{error}{more}")
            return None
        if call.name == "finish":
            return self._finished(arguments)
        self._say(call.name, str(arguments.get("command", arguments.get("path", arguments.get("text", "")))))
        result, late = await self._use(call.name, arguments)
        if late and self._left_s() <= 0:
            return timed_out(self.limit_s)
        notes = [self.repeats.did(call, result), self._warning()]
        quoted = self.quoter.quote(f"result of {call.name}", result.text, limit=RESULT_CHARACTERS)
        self._answer(call, "\n".join([quoted, *filter(None, notes)]), failed=result.failed)
        return None

    async def _use(self, tool: str, arguments: dict[str, Any]) -> tuple[ToolResult, bool]:
        await passage()
        left_s = max(self._left_s(), 0.01)
        if tool != "run":
            return await self.workbench.use(tool, arguments, left_s=left_s), False
        asked_s = float(arguments.get("timeout_s", self.use.command_timeout_s))
        return await self.workbench.run(
            arguments["command"],
            timeout_s=min(asked_s, self.use.command_timeout_s, left_s),
            hear=lambda line: self._say("run", line),
        )

    def _warning(self) -> str:
        """What the model is told when its turns are nearly over."""
        left = self.use.max_turns - self.budget.turns
        return FEW_LEFT.format(left=left) if left <= FEW else ""

    def _finished(self, arguments: dict[str, Any]) -> Ending:
        done = arguments.get("done", True)
        outcome = WorkerOutcome.FINISHED if done else WorkerOutcome.GAVE_UP
        return Ending(outcome=outcome, report=plain(arguments["report"]))

    def _answer(self, call: ToolCall, text: str, *, failed: bool = True) -> None:
        self.history.add(Message(role=Role.TOOL, text=text, call_id=call.id))
        self.transcript.note("result", id=call.id, tool=call.name, failed=failed, text=text)

    def _tell(self, text: str) -> None:
        self.history.add(Message(role=Role.USER, text=text))
        self.transcript.note("told", text=text)

    def _hear(self, heard: Heard) -> None:
        self._coming = heard.tokens
        self._say("asking", heard.line)

    def _say(self, phase: str | None = None, line: str | None = None, *, at_once: bool = False) -> None:
        now_s = self.clock.monotonic()
        at_once = at_once or (phase is not None and phase != self._phase)
        self._phase = phase or self._phase
        self._line = " ".join(plain(line).split())[:LINE_CHARACTERS] if line is not None else self._line
        if at_once or now_s - self._beat_s >= HEARTBEAT_S:
            self._beat_s = now_s
            self.emit(
                Progress(
                    phase=self._phase,
                    done=self.budget.turns,
                    total=self.use.max_turns,
                    line=self._line,
                    tokens=self.budget.tokens + self._coming,
                    cost_usd=round(self.budget.cost_usd, 6),
                )
            )

    def _left_s(self) -> float:
        return self.deadline_s - self.clock.monotonic()


def _recorded(turn: Turn) -> tuple[ToolCall, ...]:
    return tuple(recorded(call) for call in turn.calls)


def _failed(reason: str) -> Ending:
    return Ending(outcome=WorkerOutcome.FAILED, ended=reason)
