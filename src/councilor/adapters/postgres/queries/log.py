"""Every statement about the transparency log."""

from __future__ import annotations

from typing import Final, LiteralString

LOG_ORIGIN: Final[LiteralString] = "SELECT origin FROM log_identity"

NAME_LOG: Final[LiteralString] = "INSERT INTO log_identity (origin) VALUES (%s) ON CONFLICT (only_one) DO NOTHING"

LOCK_LOG: Final[LiteralString] = "SELECT pg_advisory_xact_lock(%s)"

LOG_TIP: Final[LiteralString] = """
SELECT coalesce((SELECT max(log_index) + 1 FROM log_entries), 0),
       (SELECT note FROM log_checkpoints ORDER BY size DESC LIMIT 1)"""

COUNT_PENDING: Final[LiteralString] = "SELECT count(*) FROM log_pending"

PENDING: Final[LiteralString] = "SELECT artifact_id::text FROM log_pending WHERE artifact_id = ANY(%s::uuid[])"

# By id, which ascends with time: what a statement names is a leaf before it wherever it was stored before it.
# What waits and is not there any more goes on waiting: it is a trace of who removed it.
TAKE_PENDING: Final[LiteralString] = """
WITH taken AS (
    DELETE FROM log_pending
    WHERE artifact_id IN (SELECT p.artifact_id FROM log_pending p JOIN execution_artifacts a ON a.id = p.artifact_id
                          ORDER BY p.artifact_id LIMIT %s)
    RETURNING artifact_id
)
SELECT a.id, sha256('\\x00'::bytea || a.statement)
FROM taken JOIN execution_artifacts a ON a.id = taken.artifact_id ORDER BY a.id"""

ADD_ENTRIES: Final[LiteralString] = """
INSERT INTO log_entries (log_index, artifact_id, leaf_hash)
SELECT %s + w.ordinal - 1, w.artifact_id, w.leaf_hash
FROM unnest(%s::uuid[], %s::bytea[]) WITH ORDINALITY AS w (artifact_id, leaf_hash, ordinal)"""

ADD_SUBTREES: Final[LiteralString] = """
INSERT INTO log_subtrees (level, number, root) SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::bytea[])"""

ADD_CHECKPOINT: Final[LiteralString] = "INSERT INTO log_checkpoints (size, note, created_at) VALUES (%s, %s, %s)"

CHECKPOINTS: Final[LiteralString] = "SELECT note FROM log_checkpoints WHERE size > %s ORDER BY size LIMIT %s"

ENTRIES: Final[LiteralString] = """
SELECT log_index, leaf_hash, artifact_id::text FROM log_entries WHERE artifact_id = ANY(%s::uuid[])"""

LEAVES: Final[LiteralString] = """
SELECT l.log_index, l.leaf_hash, l.artifact_id::text, a.task_id::text, a.statement
FROM log_entries l LEFT JOIN execution_artifacts a ON a.id = l.artifact_id
WHERE l.log_index >= %s ORDER BY l.log_index LIMIT %s"""

LOST_ENTRIES: Final[LiteralString] = """
SELECT l.log_index, l.leaf_hash, l.artifact_id::text FROM log_entries l
WHERE NOT EXISTS (SELECT FROM execution_artifacts a WHERE a.id = l.artifact_id) ORDER BY l.log_index LIMIT %s"""

LEAF_HASHES: Final[LiteralString] = """
SELECT leaf_hash FROM log_entries
WHERE log_index >= %(first)s AND log_index < %(stop)s ORDER BY log_index"""

SUBTREE_ROOTS: Final[LiteralString] = """
SELECT root FROM log_subtrees
WHERE level = %(level)s AND number >= %(first)s AND number < %(stop)s ORDER BY number"""
