"""Every statement about event streams and the heads of tasks."""

# ruff: noqa: S608 - the parts are literals, which mypy checks as LiteralString

from __future__ import annotations

from typing import Final, LiteralString

_HEAD: Final[LiteralString] = (
    "task_id::text, last, state, repository, spec_id, title, tier, worker, decision, commit, submitted_at, updated_at,"
    " attempt, resumes"
)

LOCK_HEADS: Final[LiteralString] = f"""
SELECT {_HEAD} FROM task_head WHERE task_id = ANY(%s::uuid[]) ORDER BY task_head.task_id FOR UPDATE"""

ADD_HEAD: Final[LiteralString] = """
INSERT INTO task_head (task_id, last, state, repository, spec_id, title, tier, worker, decision, commit, submitted_at,
                       updated_at, resumes)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""

BEGIN_ATTEMPT: Final[LiteralString] = """
UPDATE task_head SET attempt = attempt + 1 WHERE task_id = %s RETURNING attempt"""

MOVE_HEAD: Final[LiteralString] = """
UPDATE task_head SET last = %s, state = %s, decision = %s, commit = %s, updated_at = %s, resumes = %s
WHERE task_id = %s"""

ADD_EVENTS: Final[LiteralString] = """
INSERT INTO event (task_id, seq, attempt, type, ts, data)
SELECT task_id, seq, attempt, type, ts, data::json
FROM unnest(%s::uuid[], %s::bigint[], %s::integer[], %s::text[], %s::timestamptz[], %s::text[])
    AS new (task_id, seq, attempt, type, ts, data)"""

ANNOUNCE_EVENTS: Final[LiteralString] = "SELECT pg_notify('councilor_event', %s)"

LISTEN_FOR_EVENTS: Final[LiteralString] = "LISTEN councilor_event"

READ_EVENTS: Final[LiteralString] = """
SELECT seq, attempt, type, ts, data::text FROM event WHERE task_id = %s AND seq > %s ORDER BY seq LIMIT %s"""

GET_HEAD: Final[LiteralString] = f"SELECT {_HEAD} FROM task_head WHERE task_id = %s"

LIST_HEADS: Final[LiteralString] = f"""
SELECT {_HEAD} FROM task_head
WHERE %(before)s::uuid IS NULL OR task_head.task_id < %(before)s::uuid
ORDER BY task_head.task_id DESC LIMIT %(limit)s"""

FIND_HEADS: Final[LiteralString] = """
SELECT task_id::text FROM task_head
WHERE task_id::text LIKE %(fragment)s || '%%' OR reverse(task_id::text) LIKE reverse(%(fragment)s) || '%%'
ORDER BY task_head.task_id DESC LIMIT %(limit)s"""
