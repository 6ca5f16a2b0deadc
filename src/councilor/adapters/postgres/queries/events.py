"""Every statement about event streams and the heads of tasks."""

# ruff: noqa: S608 - the parts are literals, which mypy checks as LiteralString

from __future__ import annotations

from typing import Final, LiteralString

_HEAD: Final[LiteralString] = (
    "task_id::text, last, state, repository, spec_id, title, tier, worker, decision, commit, submitted_at, updated_at,"
    " attempt, floor, resumes"
)
_ENDED: Final[LiteralString] = "state IN ('completed', 'rejected', 'undecided', 'failed', 'cancelled')"
"""Written as the index `task_head_unended` has it, which is only then used."""

LOCK_HEADS: Final[LiteralString] = f"""
SELECT {_HEAD} FROM task_head WHERE task_id = ANY(%s::uuid[]) ORDER BY task_head.task_id FOR UPDATE"""

ADD_HEADS: Final[LiteralString] = """
INSERT INTO task_head (task_id, last, state, decision, commit, updated_at, resumes, repository, spec_id, title, tier,
                       worker, submitted_at)
SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::text[],
                     %s::text[], %s::text[], %s::text[], %s::smallint[], %s::text[], %s::timestamptz[])"""

BEGIN_ATTEMPT: Final[LiteralString] = """
UPDATE task_head SET attempt = attempt + 1 WHERE task_id = %s RETURNING attempt"""

MOVE_HEADS: Final[LiteralString] = """
UPDATE task_head SET last = new.last, state = new.state, decision = new.decision, commit = new.commit,
                     updated_at = new.updated_at, resumes = new.resumes
FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::text[])
    AS new (task_id, last, state, decision, commit, updated_at, resumes)
WHERE task_head.task_id = new.task_id"""

ADD_EVENTS: Final[LiteralString] = """
INSERT INTO event (task_id, seq, attempt, type, ts, data)
SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::integer[], %s::text[], %s::timestamptz[], %s::json[])"""

APPEND_TO_KNOWN: Final[LiteralString] = """
WITH wanted AS MATERIALIZED (
    SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::text[],
                         %s::bigint[], %s::integer[], %s::text[])
        AS new (task_id, last, state, decision, commit, updated_at, resumes, known_last, known_attempt, known_state)
), locked AS MATERIALIZED (
    SELECT task_id FROM task_head JOIN wanted USING (task_id)
    WHERE task_head.last = known_last AND task_head.attempt = known_attempt AND task_head.state = known_state
    ORDER BY task_id FOR UPDATE OF task_head
), moved AS (
    UPDATE task_head SET last = wanted.last, state = wanted.state, decision = wanted.decision, commit = wanted.commit,
                         updated_at = wanted.updated_at, resumes = wanted.resumes
    FROM wanted
    WHERE task_head.task_id = wanted.task_id AND (SELECT count(*) FROM locked) = (SELECT count(*) FROM wanted)
), added AS (
    INSERT INTO event (task_id, seq, attempt, type, ts, data)
    SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::integer[], %s::text[], %s::timestamptz[], %s::json[])
    WHERE (SELECT count(*) FROM locked) = (SELECT count(*) FROM wanted)
)
SELECT pg_notify('councilor_event', %s)
WHERE (SELECT count(*) FROM locked) = (SELECT count(*) FROM wanted)"""
"""Gives one row when every head stood as it was known to, and otherwise none, and changes nothing."""

ANNOUNCE_EVENTS: Final[LiteralString] = "SELECT pg_notify('councilor_event', %s)"

LISTEN_FOR_EVENTS: Final[LiteralString] = "LISTEN councilor_event"

READ_EVENTS: Final[LiteralString] = """
SELECT seq, attempt, type, ts, data::text FROM event WHERE task_id = %s AND seq > %s ORDER BY seq LIMIT %s"""

READ_TAILS: Final[LiteralString] = """
SELECT wanted.task_id::text, found.seq, found.attempt, found.type, found.ts, found.data
FROM unnest(%s::uuid[], %s::bigint[]) AS wanted (task_id, after),
     LATERAL (SELECT seq, attempt, type, ts, data::text FROM event
              WHERE event.task_id = wanted.task_id AND event.seq > wanted.after ORDER BY seq LIMIT %s) AS found
ORDER BY wanted.task_id, found.seq"""

GET_HEAD: Final[LiteralString] = f"SELECT {_HEAD} FROM task_head WHERE task_id = %s"

LIST_HEADS: Final[LiteralString] = f"""
SELECT {_HEAD} FROM task_head
WHERE (%(before)s::uuid IS NULL OR task_head.task_id < %(before)s::uuid)
      AND (%(specs)s::text[] IS NULL OR spec_id = ANY(%(specs)s::text[]))
ORDER BY task_head.task_id DESC LIMIT %(limit)s"""

LIST_UNENDED: Final[LiteralString] = f"""
SELECT {_HEAD} FROM task_head
WHERE NOT ({_ENDED}) AND (%(before)s::uuid IS NULL OR task_head.task_id < %(before)s::uuid)
      AND (%(specs)s::text[] IS NULL OR spec_id = ANY(%(specs)s::text[]))
ORDER BY task_head.task_id DESC LIMIT %(limit)s"""

FIND_HEADS: Final[LiteralString] = """
SELECT task_id::text FROM task_head
WHERE task_id::text LIKE %(fragment)s || '%%' OR reverse(task_id::text) LIKE reverse(%(fragment)s) || '%%'
ORDER BY task_head.task_id DESC LIMIT %(limit)s"""

FIND_PRUNABLE: Final[LiteralString] = f"""
SELECT task_id::text FROM task_head
WHERE {_ENDED} AND updated_at < %(before)s AND floor < last - 1 AND NOT task_id = ANY(%(spare)s::uuid[])
      AND (%(after)s::uuid IS NULL OR task_head.task_id > %(after)s::uuid)
ORDER BY task_head.task_id LIMIT %(limit)s"""

LOCK_PRUNABLE: Final[LiteralString] = f"""
SELECT last FROM task_head WHERE task_id = %s AND {_ENDED} AND updated_at < %s FOR UPDATE"""

TYPES_OF_EVENTS: Final[LiteralString] = """
SELECT seq, type, CASE WHEN starts_with(type, 'worker.') THEN data::text END
FROM event WHERE task_id = %s ORDER BY seq"""

REMOVE_EVENTS: Final[LiteralString] = "DELETE FROM event WHERE task_id = %s AND seq = ANY(%s::bigint[])"

RAISE_FLOOR: Final[LiteralString] = "UPDATE task_head SET floor = last - 1 WHERE task_id = %s"
