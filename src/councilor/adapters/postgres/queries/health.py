"""Every statement about how the database stands."""

from __future__ import annotations

from typing import Final, LiteralString

IS_READ_ONLY: Final[LiteralString] = "SELECT current_setting('transaction_read_only') = 'on'"

HAS_TABLE: Final[LiteralString] = "SELECT to_regclass(%s) IS NOT NULL"

# Ids ascend with time, and min() knows no uuid.
LOG_STANDING: Final[LiteralString] = """
SELECT (SELECT origin FROM log_identity), (SELECT count(*) FROM log_pending),
       (SELECT artifact_id::text FROM log_pending ORDER BY artifact_id LIMIT 1),
       coalesce((SELECT max(size) FROM log_checkpoints), 0)"""

# Who waits for a task before it, or for a time, does not wait for an executor.
QUEUE_STANDING: Final[LiteralString] = """
SELECT count(*) FILTER (
           WHERE executor_id IS NULL AND NOT paused AND coalesce(not_before <= now(), true) AND NOT EXISTS (
               SELECT FROM unnest(q.after) AS wanted (id) LEFT JOIN task_head h ON h.task_id = wanted.id
               WHERE h.state IS DISTINCT FROM 'completed')),
       (SELECT count(*) FROM executor_lease WHERE expires_at > now())
FROM task_queue q"""
