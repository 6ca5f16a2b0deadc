"""A task's events as a timeline for a person: one line for what matters, with the time since it was submitted.

Rules:
- Phases are told with how long they took; gates that passed are counted, the others told.
- Signs of life are told when what is being done changes, or every `PULSE_S` seconds.
- A type that it does not know, or data of another release, are told by the type's name and the data's short values:
  nothing that happens is hidden, and nothing ends the watching.
- Texts of workers and repositories are made visible and cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from councilor.domain.event import Event, EventType, Gap
from councilor.domain.task import TaskHead
from councilor.surfaces.cli.output import one_line
from councilor.surfaces.cli.progress import describe

__all__ = ["Timeline", "head_line"]

PULSE_S = 10.0
LONGEST = 160
_SILENT = frozenset({EventType.ARTIFACT_STORED, EventType.NOTIFICATION_STARTED})


class Timeline:
    """The lines of one task.

    Args:
        submitted_at: when the task was.
    """

    def __init__(self, submitted_at: datetime) -> None:
        self._submitted_at = submitted_at
        self._passed = 0
        self._pulse: tuple[str, datetime] | None = None

    def lines(self, told: Event | Gap) -> Iterator[str]:
        """What to print for one event; often nothing."""
        if isinstance(told, Gap):
            yield f"{'':>11}{describe(told)}; it is {told.head.state.value} now"
            return
        if told.type is EventType.GATE_FINISHED and told.data.get("status") == "passed":
            self._passed += 1
            return
        if text := self._text(told):
            if self._passed:
                yield self._at(told, f"gates: {self._passed} passed")
                self._passed = 0
            yield self._at(told, text)

    def _at(self, event: Event, text: str) -> str:
        elapsed_s = max(0.0, (event.ts - self._submitted_at).total_seconds())
        candidate = event.data.get("candidate")
        if candidate and not text.lstrip().startswith("["):
            text = f"[{candidate}] {text}"
        return f"{elapsed_s:9.1f}s {_cut(text)}"

    def _text(self, event: Event) -> str:
        if event.type is EventType.WORKER_HEARTBEAT:
            return self._pulse_of(event)
        self._pulse = None if event.type is EventType.PHASE_STARTED else self._pulse
        if event.type in _SILENT:
            return ""
        try:
            return _sentence(event)
        except (KeyError, TypeError, ValueError):
            return _plainly(event)

    def _pulse_of(self, event: Event) -> str:
        phase = str(event.data.get("phase", ""))
        if self._pulse is not None:
            known, told_at = self._pulse
            if phase == known and (event.ts - told_at).total_seconds() < PULSE_S:
                return ""
        self._pulse = phase, event.ts
        done, total = event.data.get("done"), event.data.get("total")
        return f"  {phase} {done} of {total}" if total else f"  {describe(event)}"


def head_line(head: TaskHead) -> str:
    """What a task is, when it begins to be watched."""
    return f"task {head.task_id}: {_cut(head.title)} (tier {head.tier}, {head.state.value})"


def _sentence(event: Event) -> str:
    data = event.data
    match event.type:
        case EventType.TASK_SUBMITTED:
            task = data.get("task", {})
            by = f" by schedule {data['schedule']}" if "schedule" in data else ""
            return (
                f"submitted{by}: {task.get('title')} (tier {task.get('tier')}, worker {task.get('worker') or 'none'})"
            )
        case EventType.TASK_STARTED:
            return f"started by attempt {event.attempt}, {describe(event)}"
        case EventType.PHASE_FINISHED:
            return f"  {data.get('phase')} took {float(data.get('duration_s', 0)):.1f} s"
        case EventType.WORKER_OUTPUT:
            return _output(data)
        case EventType.CLAIMS_CHECKED:
            counts = data.get("counts", {})
            return f"  claims: {', '.join(f'{count} {status}' for status, count in counts.items()) or 'none'}"
        case EventType.COUNCIL_OPENED:
            return f"  council, at most {data.get('sla_s')} s"
        case EventType.COUNCIL_VOTE:
            voter = f" ({data['voter']})" if data.get("voter") else ""
            reasons = [str(reason) for reason in data.get("reasons", ())]
            return f"  {data.get('judge')}{voter}: {data.get('choice')}{''.join(f', {text}' for text in reasons[:1])}"
        case EventType.VERDICT_REACHED:
            vetoes = data.get("vetoes") or ()
            return describe(event) + (f", vetoed by {', '.join(map(str, vetoes))}" if vetoes else "")
        case EventType.TASK_FINISHED:
            return f"{data.get('state')}{', commit ' + str(data['commit'])[:12] if data.get('commit') else ''}"
        case EventType.TASK_CANCELLED:
            return "cancelled"
        case EventType.NOTIFICATION_SENT | EventType.NOTIFICATION_FAILED:
            return f"told by {data.get('channel')}: {'not, ' + str(data['error']) if data.get('error') else 'sent'}"
        case _:
            return describe(event) or _plainly(event)


def _output(data: Mapping[str, Any]) -> str:
    usage = data.get("usage") or {}
    spent = [f"{float(usage.get('duration_s') or 0):.1f} s"]
    spent += [f"{usage['tokens']} tokens"] if usage.get("tokens") else []
    spent += [f"{usage['cost_usd']:.2f} USD"] if usage.get("cost_usd") else []
    ended = f": {data['ended']}" if data.get("ended") else ""
    return f"  the worker {data.get('outcome', 'ended')} after {', '.join(spent)}{ended}"


def _plainly(event: Event) -> str:
    plain = {key: value for key, value in event.data.items() if isinstance(value, str | int | float) and value != ""}
    return " ".join([event.type.value, ", ".join(f"{key} {value}" for key, value in plain.items())]).strip()


def _cut(text: str) -> str:
    text = one_line(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
