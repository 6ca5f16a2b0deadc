"""What a store takes: the checks that every adapter of a storage port makes alike.

Rules:
- An id is a UUID in canonical form: lower case, with dashes.
- A text has 1 to 255 characters, no NUL, and can be written as UTF-8.
- An artifact's bytes, hash and size agree, and its fields can be read back as they were given.
- A task's events go on from its head: the first and no other is `task.submitted`, nothing follows an end but
  notifications of it and a person's override.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.event import STILL, Event, EventType, Gap, NewEvent, fold, may_follow_end
from councilor.domain.keeping import LegalHold
from councilor.domain.metadata import canonical_metadata
from councilor.domain.task import END_STATES, TaskHead
from councilor.errors import FencedError, HashMismatchError, InputError, IntegrityError

__all__ = [
    "LARGEST_BODY_BYTES",
    "find_gap",
    "is_fragment",
    "is_id",
    "is_text",
    "number_events",
    "require_alias",
    "require_bytes",
    "require_hold",
    "require_storable",
    "require_text",
]

LARGEST_BODY_BYTES = 2**40
LARGEST_STATEMENT_BYTES = 2**20
LONGEST_TEXT = 255
LONGEST_HEAD_TEXT = 10_000
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
_FRAGMENT = re.compile(r"[0-9a-f-]{4,36}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_id(text: str) -> bool:
    """Whether a text is an id."""
    return _ID.fullmatch(text) is not None


def is_fragment(text: str) -> bool:
    """Whether a text can be the beginning or the end of an id: 4 to 36 hexadecimal digits or dashes."""
    return _FRAGMENT.fullmatch(text) is not None


def is_text(text: str) -> bool:
    """Whether a store can have a text of 1 to 255 characters; what it cannot have need not be looked for."""
    try:
        require_text(text, "text")
    except InputError:
        return False
    return True


def require_text(text: str, field: str, *, longest: int = LONGEST_TEXT, shortest: int = 1) -> None:
    """Refuse a text that a store cannot keep; `longest` counts characters.

    Raises:
        InputError: names the field.
    """
    if not shortest <= len(text) <= longest:
        raise InputError(f"{field} must have {shortest} to {longest} characters, not {len(text)}.", field=field)
    if "\0" in text:
        raise InputError(f"{field} holds a NUL character.", field=field)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{field} is not valid Unicode at character {error.start}.", field=field) from error


def require_alias(alias: str) -> None:
    """Refuse a name that cannot be an alias.

    Raises:
        InputError: it is not 1 to 128 letters, digits and `. _ - /`, a letter or digit first.
    """
    if not _ALIAS.fullmatch(alias):
        raise InputError(
            f"{alias!r} cannot be an alias.",
            field="alias",
            hint="Use 1 to 128 letters, digits and . _ - /, beginning with a letter or a digit.",
        )


def require_hold(hold: LegalHold) -> None:
    """Refuse a hold that cannot be kept.

    Raises:
        InputError: names the field.
    """
    if not is_id(hold.task_id):
        raise InputError(f"{hold.task_id!r} is not a task id: a UUID in canonical form.", field="task_id")
    require_text(hold.reason, "reason", longest=1000)
    if hold.placed_at.utcoffset() != timedelta(0):
        raise InputError("placed_at is not in UTC.", field="placed_at")


def require_bytes(artifact: ExecutionArtifact, size_bytes: int, digest: str) -> None:
    """Refuse bytes of this size and SHA-256 unless they are what the artifact says.

    Raises:
        HashMismatchError: they are not.
    """
    if (artifact.size_bytes, artifact.output_hash) != (size_bytes, digest):
        raise HashMismatchError(f"The bytes of artifact {artifact.id} are not what its hash and size say.")


def require_storable(artifact: ExecutionArtifact) -> None:
    """Refuse an artifact whose fields a store cannot keep as they are.

    Raises:
        InputError: a field is not of its form, or something is too large.
    """
    if not 0 <= artifact.size_bytes <= LARGEST_BODY_BYTES:
        raise InputError(
            f"The artifact has {artifact.size_bytes} bytes; at most {LARGEST_BODY_BYTES} are kept.", field="body"
        )
    if artifact.seq is not None and not 0 < artifact.seq < 2**31:
        raise InputError(f"The place {artifact.seq} is out of range.", field="seq")
    canonical_metadata(artifact.metadata)
    edges = [(item.artifact_id, item.role) for item in artifact.inputs]
    ids = [artifact.id, artifact.task_id, *(item_id for item_id, _ in edges)]
    if artifact.parent_id is not None:
        ids.append(artifact.parent_id)
    for text in ids:
        if not is_id(text):
            raise InputError(f"{text!r} is not an id: a UUID in canonical form.", field="id")
    for field in ("input_hash", "output_hash", "keyid"):
        if not _SHA256.fullmatch(getattr(artifact, field)):
            raise InputError(f"{field} is not a SHA-256: 64 lower-case hexadecimal digits.", field=field)
    for field in ("name", "run_id", "media_type", "tree"):
        if (text := getattr(artifact, field)) is not None:
            require_text(text, field)
    for index, (_, role) in enumerate(edges):
        require_text(role, f"inputs[{index}].role")
    if len(set(edges)) != len(edges):
        raise InputError("The same input is named twice in one role.", field="inputs")
    if artifact.created_at.utcoffset() != timedelta(0):
        raise InputError("created_at is not in UTC.", field="created_at")
    if not 0 <= artifact.attempt < 2**31:
        raise InputError(f"The attempt {artifact.attempt} is out of range.", field="attempt")
    if len(artifact.statement) > LARGEST_STATEMENT_BYTES:
        raise InputError(f"The statement has {len(artifact.statement)} bytes.", field="statement")


def number_events(head: TaskHead | None, events: Sequence[NewEvent]) -> tuple[TaskHead, Sequence[Event]]:
    """Number one task's new events from where its head stands; gives the head after them, and the events.

    Args:
        head: None for a task that has no events yet.
        events: at least one, all of one task.

    Raises:
        InputError: the first event of a task is not `task.submitted`, the task is at its end, or an event's data is
            not what its type asks for.
        FencedError: an event is of an older attempt than the newest that has begun.
    """
    numbered: list[Event] = []
    for seq, new in enumerate(events, start=head.last_seq + 1 if head else 1):
        event = Event(task_id=new.task_id, type=new.type, ts=new.ts, attempt=new.attempt, data=new.data, seq=seq)
        _require_event(head, event)
        if head is None or event.type not in STILL:
            try:
                head = fold(head, event)
            except (KeyError, ValueError) as error:
                raise InputError(
                    f"The data of {event.type} is not what it should be: {error}.", field="data"
                ) from error
        numbered.append(event)
    if head is not None and numbered:
        head = replace(head, last_seq=numbered[-1].seq, updated_at=numbered[-1].ts)
    if head is None:
        raise InputError("There is no event to number.", field="events")
    for field in ("repository", "spec_id", "title", "worker", "decision", "commit"):
        if (text := getattr(head, field)) is not None:
            require_text(text, field, longest=LONGEST_HEAD_TEXT, shortest=0)
    return head, numbered


def find_gap(event: Event, after: int, floor: int, head: TaskHead) -> Gap | None:
    """What a reader is to be told before an event, if anything between is missing.

    Args:
        after: the last number that the reader has.
        floor: the floor that it was told of already; 0: of none.
        head: the task's, read after the event was.

    Raises:
        IntegrityError: what is missing was not pruned.
    """
    if event.seq == after + 1 or event.seq <= floor + 1:
        return None
    if event.seq > head.floor + 1:
        raise IntegrityError(f"Events {after + 1} to {event.seq - 1} of task {event.task_id} are missing.")
    return Gap(task_id=event.task_id, after=after, floor=head.floor, head=head)


def _require_event(head: TaskHead | None, event: Event) -> None:
    if (head is None or event.task_id != head.task_id) and not is_id(event.task_id):
        raise InputError(f"{event.task_id!r} is not a task id: a UUID in canonical form.", field="task_id")
    if head is None and event.type is not EventType.TASK_SUBMITTED:
        raise InputError(f"Task {event.task_id} begins with {event.type}, not with task.submitted.", field="type")
    if head is not None and event.type is EventType.TASK_SUBMITTED:
        raise InputError(f"Task {event.task_id} was submitted already.", field="type")
    if head is not None and head.state in END_STATES and not may_follow_end(event, head.state):
        raise InputError(f"Task {event.task_id} is {head.state}; {event.type} cannot follow.", field="type")
    if event.ts.utcoffset() != timedelta(0):
        raise InputError("An event's time is not in UTC.", field="ts")
    if not 0 <= event.attempt < 2**31:
        raise InputError(f"The attempt {event.attempt} is out of range.", field="attempt")
    if head is not None and 0 < event.attempt < head.attempt:
        raise FencedError(f"Attempt {event.attempt} at task {event.task_id} was taken over by attempt {head.attempt}.")
