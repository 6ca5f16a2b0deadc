"""Every statement about the queue of tasks and the leases of executors."""

# ruff: noqa: S608 - the parts are literals, which mypy checks as LiteralString

from __future__ import annotations

from typing import Final, LiteralString

_ENTRY: Final[LiteralString] = """q.task_id::text, q.repository, q.tier, q.priority, q.not_before, q.after::text[],
q.paused, q.enqueued_at, q.executor_id::text, q.claimed_at, q.claims, q.version"""

FIND_UNKNOWN: Final[LiteralString] = """
SELECT wanted.id::text FROM unnest(%s::uuid[]) AS wanted (id)
WHERE NOT EXISTS (SELECT FROM task_head WHERE task_id = wanted.id)"""

FIND_CIRCLE: Final[LiteralString] = """
WITH RECURSIVE before (id) AS (
    SELECT unnest(%(after)s::uuid[])
    UNION SELECT unnest(q.after) FROM before JOIN task_queue q ON q.task_id = before.id)
SELECT 1 FROM before
WHERE id = %(task)s AND NOT EXISTS (SELECT FROM task_queue WHERE task_id = %(task)s)"""
"""One row when a task that is not queued is among those that have to end before others, also by way of further ones."""

ADD_ENTRY: Final[LiteralString] = """
INSERT INTO task_queue (task_id, repository, tier, priority, not_before, after, paused, enqueued_at)
VALUES (%s, %s, %s, %s, %s, %s::uuid[], %s, %s) ON CONFLICT DO NOTHING RETURNING 1"""

LOCK_CLAIMS: Final[LiteralString] = "SELECT pg_advisory_xact_lock(%s)"
"""Claims one at a time, for a limit counts what others have claimed."""

CLAIM: Final[LiteralString] = f"""
WITH me AS MATERIALIZED (
    SELECT version FROM executor_lease WHERE executor_id = %(executor)s AND expires_at > now()),
claimed AS MATERIALIZED (
    SELECT repository, tier FROM task_queue WHERE executor_id IS NOT NULL),
full_repository AS MATERIALIZED (
    SELECT repository FROM claimed GROUP BY repository HAVING count(*) >= %(per_repository)s),
full_tier AS MATERIALIZED (
    SELECT key::smallint AS tier FROM jsonb_each_text(%(per_tier)s::jsonb)
    WHERE (SELECT count(*) FROM claimed WHERE tier = key::smallint) >= value::bigint),
next AS (
    SELECT q.task_id FROM task_queue q, me
    WHERE q.executor_id IS NULL AND NOT q.paused AND coalesce(q.not_before <= now(), true)
      AND coalesce(q.version = me.version, true)
      AND q.repository NOT IN (SELECT repository FROM full_repository)
      AND q.tier NOT IN (SELECT tier FROM full_tier)
      AND (q.tier <> %(serial)s OR q.repository NOT IN (SELECT repository FROM claimed WHERE tier = %(serial)s))
      AND (q.after = '{{}}' OR NOT EXISTS (
          SELECT FROM unnest(q.after) AS wanted (id) LEFT JOIN task_head h ON h.task_id = wanted.id
          WHERE h.state IS DISTINCT FROM 'completed'))
    ORDER BY q.priority DESC, q.task_id LIMIT 1 FOR UPDATE OF q SKIP LOCKED)
UPDATE task_queue q SET executor_id = %(executor)s, claimed_at = now(), claims = claims + 1,
    version = coalesce(q.version, (SELECT version FROM me))
FROM next WHERE q.task_id = next.task_id
RETURNING {_ENTRY}"""
"""What is full is found out once: thousands may wait for one repository, and every process asks again and again."""

FINISH: Final[LiteralString] = "DELETE FROM task_queue WHERE task_id = %s AND executor_id = %s RETURNING 1"

GIVE_BACK: Final[LiteralString] = """
UPDATE task_queue SET executor_id = NULL, claimed_at = NULL,
    not_before = greatest(not_before, now() + nullif(%s, interval '0')),
    claims = greatest(claims - %s, 0)
WHERE task_id = %s AND executor_id = %s RETURNING 1"""

FIND_DOOMED: Final[LiteralString] = f"""
SELECT {_ENTRY}, (
    SELECT wanted.id::text FROM unnest(q.after) AS wanted (id) JOIN task_head h ON h.task_id = wanted.id
    WHERE h.state = ANY(%(ends)s) LIMIT 1) AS failed
FROM task_queue q
WHERE q.executor_id IS NULL AND q.after <> '{{}}' AND EXISTS (
    SELECT FROM unnest(q.after) AS wanted (id) JOIN task_head h ON h.task_id = wanted.id
    WHERE h.state = ANY(%(ends)s))
ORDER BY q.task_id"""

REMOVE: Final[LiteralString] = "DELETE FROM task_queue WHERE task_id = %s AND executor_id IS NULL RETURNING 1"

REPRIORITISE: Final[LiteralString] = "UPDATE task_queue SET priority = %s WHERE task_id = %s RETURNING 1"

HOLD: Final[LiteralString] = "UPDATE task_queue SET paused = %s WHERE task_id = %s RETURNING 1"

RELEASE: Final[LiteralString] = """
UPDATE task_queue q SET paused = false FROM task_head h
WHERE q.paused AND q.executor_id IS NULL AND h.task_id = q.task_id AND h.state <> ALL(%s)
RETURNING q.task_id::text"""

FIND_ENTRY: Final[LiteralString] = f"SELECT {_ENTRY} FROM task_queue q WHERE q.task_id = %s"

LIST_ENTRIES: Final[LiteralString] = f"""
SELECT {_ENTRY} FROM task_queue q ORDER BY q.priority DESC, q.task_id LIMIT %s"""

ANNOUNCE_QUEUE: Final[LiteralString] = "SELECT pg_notify('councilor_queue', '')"

LISTEN_FOR_CHANGES: Final[LiteralString] = "LISTEN councilor_queue"

ENLIST: Final[LiteralString] = """
INSERT INTO executor_lease (executor_id, host, pid, version, lease, expires_at)
VALUES (%(id)s, %(host)s, %(pid)s, %(version)s, %(lease)s, now() + %(lease)s)"""

RENEW: Final[LiteralString] = """
UPDATE executor_lease SET renewed_at = now(), expires_at = now() + lease, session_pid = pg_backend_pid()
WHERE executor_id = %s AND expires_at > now() RETURNING 1"""

LEAVE: Final[LiteralString] = "DELETE FROM executor_lease WHERE executor_id = %s"

FIND_DEAD: Final[LiteralString] = """
WITH dated_ahead AS (
    UPDATE executor_lease SET renewed_at = now(), expires_at = now() + lease WHERE renewed_at > now() + lease)
SELECT executor_id::text FROM executor_lease l
WHERE expires_at <= now()
   OR (renewed_at < now() - least(lease / 4, interval '5 s') AND session_pid IS NOT NULL AND NOT EXISTS (
       SELECT FROM pg_stat_activity a WHERE a.pid = l.session_pid AND a.application_name = 'councilor lease')
       AND EXISTS (
       SELECT FROM pg_stat_activity a
       WHERE a.application_name = 'councilor lease' AND a.backend_start < now() - least(lease / 4, interval '5 s')))
FOR UPDATE SKIP LOCKED"""
"""Processes whose lease has expired, and earlier those whose connection is gone and that did not come back although
another one's was there all the time: a restart of the database ends them all. A lease from the time to come was renewed
before the server's clock was set back, and counts from now on: else its process could be dead for hours unnoticed."""

END_SESSIONS: Final[LiteralString] = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = ANY(%s) AND pid <> pg_backend_pid()"""
"""A frozen process keeps its locks as long as its connections live."""

REAP: Final[LiteralString] = """
WITH freed AS (
    UPDATE task_queue SET executor_id = NULL, claimed_at = NULL WHERE executor_id = ANY(%(dead)s::uuid[])
    RETURNING task_id),
gone AS (DELETE FROM executor_lease WHERE executor_id = ANY(%(dead)s::uuid[]))
SELECT task_id::text FROM freed"""

LIST_LEASES: Final[LiteralString] = """
SELECT executor_id::text, host, pid, version, started_at, renewed_at, expires_at FROM executor_lease
ORDER BY started_at, executor_id"""
