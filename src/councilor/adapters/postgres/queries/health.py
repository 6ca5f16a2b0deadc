"""Every statement about how the database stands."""

from __future__ import annotations

from typing import Final, LiteralString

IS_READ_ONLY: Final[LiteralString] = "SELECT current_setting('transaction_read_only') = 'on'"

HAS_RECORDS: Final[LiteralString] = """
SELECT to_regclass('log_pending') IS NOT NULL AND to_regclass('task_head') IS NOT NULL"""

# Ids ascend with time, and min() knows no uuid.
LOG_STANDING: Final[LiteralString] = """
SELECT (SELECT origin FROM log_identity), (SELECT count(*) FROM log_pending),
       (SELECT artifact_id::text FROM log_pending ORDER BY artifact_id LIMIT 1),
       coalesce((SELECT max(size) FROM log_checkpoints), 0)"""

COUNT_QUEUED: Final[LiteralString] = "SELECT count(*) FROM task_head WHERE state IN ('submitted', 'queued')"
