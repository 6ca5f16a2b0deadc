"""Every statement about keeping and erasing bytes."""

# ruff: noqa: S608 - the parts are literals, which mypy checks as LiteralString

from __future__ import annotations

from typing import Final, LiteralString

# Bytes that nothing needs: at least one artifact has them, each was released, and none is of a task on hold.
_UNNEEDED: Final[LiteralString] = """
EXISTS (SELECT FROM execution_artifacts a WHERE a.output_hash = b.sha256)
AND NOT EXISTS (
    SELECT FROM execution_artifacts a
    WHERE a.output_hash = b.sha256
      AND (NOT EXISTS (SELECT FROM artifact_releases r WHERE r.artifact_id = a.id)
           OR EXISTS (SELECT FROM legal_holds h WHERE h.task_id = a.task_id)))"""

PLACE_HOLD: Final[LiteralString] = """
INSERT INTO legal_holds (task_id, reason, placed_at) VALUES (%s::uuid, %s, %s) ON CONFLICT (task_id) DO NOTHING"""

LIFT_HOLD: Final[LiteralString] = "DELETE FROM legal_holds WHERE task_id = %s::uuid"

HOLDS: Final[LiteralString] = "SELECT task_id::text, reason, placed_at FROM legal_holds ORDER BY placed_at, task_id"

RELEASE: Final[LiteralString] = """
INSERT INTO artifact_releases (artifact_id) SELECT unnest(%s::uuid[]) ON CONFLICT (artifact_id) DO NOTHING"""

RELEASED: Final[LiteralString] = "SELECT artifact_id::text FROM artifact_releases WHERE artifact_id = ANY(%s::uuid[])"

UNMARK: Final[LiteralString] = f"""
UPDATE artifact_blobs b SET condemned_at = NULL
WHERE condemned_at IS NOT NULL AND erased_at IS NULL AND NOT ({_UNNEEDED})"""

MARK: Final[LiteralString] = f"""
UPDATE artifact_blobs b SET condemned_at = %(now)s
WHERE condemned_at IS NULL AND erased_at IS NULL
  AND sha256 IN (SELECT a.output_hash FROM artifact_releases r JOIN execution_artifacts a ON a.id = r.artifact_id)
  AND {_UNNEEDED}"""

COUNT_MARKED: Final[LiteralString] = """
SELECT count(*) FROM artifact_blobs WHERE condemned_at IS NOT NULL AND erased_at IS NULL"""

CONDEMNED: Final[LiteralString] = f"""
SELECT encode(b.sha256, 'hex'), b.size, b.condemned_at,
       ARRAY(SELECT ARRAY[a.task_id::text, a.id::text] FROM execution_artifacts a
             WHERE a.output_hash = b.sha256 ORDER BY a.id)
FROM artifact_blobs b
WHERE condemned_at < %(before)s AND erased_at IS NULL AND {_UNNEEDED}
ORDER BY condemned_at, b.sha256 LIMIT %(limit)s"""

LOCK_UNNEEDED: Final[LiteralString] = f"""
SELECT b.sha256 FROM artifact_blobs b
WHERE sha256 = ANY(%(digests)s::bytea[]) AND condemned_at < %(before)s AND erased_at IS NULL AND {_UNNEEDED}
ORDER BY b.sha256 FOR UPDATE"""

ERASE_BLOBS: Final[LiteralString] = f"""
UPDATE artifact_blobs b SET erased_at = %(now)s, inline_body = NULL
WHERE sha256 = ANY(%(digests)s::bytea[]) AND {_UNNEEDED} RETURNING sha256"""

ERASE_CHUNKS: Final[LiteralString] = "DELETE FROM artifact_chunks WHERE sha256 = ANY(%s::bytea[])"

STORED_BYTES: Final[LiteralString] = """
SELECT pg_total_relation_size('artifact_blobs') + pg_total_relation_size('artifact_chunks')"""

LIVE_BYTES: Final[LiteralString] = """
SELECT (coalesce((SELECT sum(octet_length(inline_body)) FROM artifact_blobs), 0)
        + coalesce((SELECT sum(octet_length(body)) FROM artifact_chunks), 0))::bigint"""

COUNT_KINDS: Final[LiteralString] = (
    "SELECT kind, count(*), sum(size_bytes)::bigint FROM execution_artifacts GROUP BY kind"
)

COUNT_BLOBS: Final[LiteralString] = """
SELECT count(*) FILTER (WHERE erased_at IS NULL), coalesce(sum(size) FILTER (WHERE erased_at IS NULL), 0)::bigint,
       count(*) FILTER (WHERE condemned_at IS NOT NULL AND erased_at IS NULL),
       count(*) FILTER (WHERE erased_at IS NOT NULL), (SELECT count(*) FROM legal_holds)
FROM artifact_blobs"""
