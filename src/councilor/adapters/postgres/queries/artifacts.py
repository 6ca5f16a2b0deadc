"""Every statement about artifacts: storing them, reading them, and what was made from what."""

# ruff: noqa: S608 - the parts are literals, which mypy checks as LiteralString

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, LiteralString

# --- storing ----------------------------------------------------------------------------------------------------------

_WRITE_AGAIN: Final[LiteralString] = """
ON CONFLICT (sha256) DO UPDATE
SET condemned_at = NULL, erased_at = NULL, codec = EXCLUDED.codec, inline_body = EXCLUDED.inline_body
WHERE artifact_blobs.erased_at IS NOT NULL"""

ADD_BLOB: Final[LiteralString] = f"""
INSERT INTO artifact_blobs (sha256, size, codec) VALUES (%(output_hash)s, %(size_bytes)s, %(codec)s)
{_WRITE_AGAIN} RETURNING true"""

ADD_CHUNK: Final[LiteralString] = "INSERT INTO artifact_chunks (sha256, seq, body) VALUES (%s, %s, %s)"

# One statement, so one journey and one commit. `go` has a row only when everything is as it must be; nothing is
# written otherwise, and the last SELECT says why. A blob that was marked for erasure is unmarked by the collector.
ADD_ARTIFACT: Final[LiteralString] = f"""
WITH found AS (
    SELECT EXISTS (SELECT FROM execution_artifacts WHERE id = %(id)s::uuid) AS taken,
           (SELECT coalesce(max(seq), 0) FROM execution_artifacts WHERE task_id = %(task_id)s::uuid) AS last_seq,
           NOT EXISTS (
               SELECT FROM unnest(%(ancestor_ids)s::uuid[], %(ancestor_hashes)s::bytea[]) AS w (id, hash)
               WHERE NOT EXISTS (SELECT FROM execution_artifacts p
                                 WHERE p.id = w.id AND (w.hash IS NULL OR w.hash = p.output_hash))
           ) AS known
), go AS (
    SELECT FROM found
    WHERE known AND NOT taken AND (%(seq)s::integer IS NULL OR %(seq)s::integer = last_seq + 1)
), blob AS (
    INSERT INTO artifact_blobs (sha256, size, codec, inline_body)
    SELECT %(output_hash)s::bytea, %(size_bytes)s::bigint, %(codec)s::text, %(inline_body)s::bytea FROM go
    {_WRITE_AGAIN}
), added AS (
    INSERT INTO execution_artifacts (id, task_id, run_id, attempt, kind, name, parent_id, input_hash, output_hash, tree,
                                     media_type, size_bytes, created_at, statement, keyid, seq, metadata)
    SELECT %(id)s::uuid, %(task_id)s::uuid, %(run_id)s::text, %(attempt)s::integer, %(kind)s::text, %(name)s::text,
           %(parent_id)s::uuid, %(input_hash)s::bytea, %(output_hash)s::bytea, %(tree)s::text, %(media_type)s::text,
           %(size_bytes)s::bigint, %(created_at)s::timestamptz, %(statement)s::bytea, %(keyid)s::bytea,
           %(seq)s::integer, %(metadata)s::json
    FROM go RETURNING id
), edges AS (
    INSERT INTO artifact_inputs (child_id, ordinal, parent_id, role)
    SELECT added.id, w.ordinal - 1, w.parent_id, w.role
    FROM added, unnest(%(input_ids)s::uuid[], %(input_roles)s::text[]) WITH ORDINALITY AS w (parent_id, role, ordinal)
), version AS (
    INSERT INTO artifact_versions (task_id, name, version, artifact_id)
    SELECT %(task_id)s::uuid, %(name)s::text,
           1 + coalesce((SELECT max(version) FROM artifact_versions
                         WHERE task_id = %(task_id)s::uuid AND name = %(name)s::text), 0), id
    FROM added
), queued AS (
    INSERT INTO log_pending (artifact_id) SELECT id FROM added
)
SELECT taken, last_seq, EXISTS (SELECT FROM added) FROM found"""

KNOWN_ARTIFACTS: Final[LiteralString] = """
SELECT id::text, encode(output_hash, 'hex') FROM execution_artifacts WHERE id = ANY(%s::uuid[])"""

# --- reading ----------------------------------------------------------------------------------------------------------

_ARTIFACT: Final[LiteralString] = """
SELECT a.id::text, a.task_id::text, a.run_id, a.attempt, a.kind, a.name, a.parent_id::text,
       a.input_hash, a.output_hash, a.tree, a.media_type, a.size_bytes, a.created_at, a.statement, a.keyid, a.seq,
       a.metadata::text,
       ARRAY(SELECT ARRAY[i.parent_id::text, encode(p.output_hash, 'hex'), i.role]
             FROM artifact_inputs i JOIN execution_artifacts p ON p.id = i.parent_id
             WHERE i.child_id = a.id ORDER BY i.ordinal)
FROM execution_artifacts a"""

GET_ARTIFACT: Final[LiteralString] = f"{_ARTIFACT} WHERE a.id = %s::uuid"

ARTIFACTS_OF_TASK: Final[LiteralString] = f"{_ARTIFACT} WHERE a.task_id = %s::uuid ORDER BY a.id"

LATEST_ARTIFACTS: Final[LiteralString] = f"""{_ARTIFACT}
WHERE a.id IN (SELECT DISTINCT ON (name) id FROM execution_artifacts
               WHERE task_id = %s::uuid ORDER BY name, id DESC)
ORDER BY a.id DESC"""

ARTIFACTS_ABOUT_TREE: Final[LiteralString] = f"""
{_ARTIFACT} WHERE a.tree = %s AND a.name = %s ORDER BY a.created_at DESC, a.id DESC LIMIT %s"""

LAST_SEQ: Final[LiteralString] = "SELECT coalesce(max(seq), 0) FROM execution_artifacts WHERE task_id = %s::uuid"

LIST_ARTIFACTS: Final[LiteralString] = f"{_ARTIFACT} WHERE true"

# Only the conditions that are asked for: one that allows NULL would hide the index from a prepared statement's plan.
LIST_CONDITIONS: Final[Mapping[str, LiteralString]] = {
    "task_id": " AND a.task_id = %(task_id)s::uuid",
    "kind": " AND a.kind = %(kind)s",
    "name": " AND a.name = %(name)s",
    "tree": " AND a.tree = %(tree)s",
    "since": " AND a.created_at >= %(since)s",
    "until": " AND a.created_at < %(until)s",
    "after": " AND a.id < %(after)s::uuid",
}

LIST_ORDER: Final[LiteralString] = " ORDER BY a.id DESC LIMIT %(limit)s"

FIND_ARTIFACTS: Final[LiteralString] = """
SELECT id::text FROM execution_artifacts
WHERE id::text LIKE %(fragment)s || '%%' OR reverse(id::text) LIKE reverse(%(fragment)s) || '%%'
ORDER BY id DESC LIMIT 10"""

READ_BLOB: Final[LiteralString] = """
SELECT b.sha256, b.size, b.codec, b.inline_body, b.erased_at
FROM execution_artifacts a JOIN artifact_blobs b ON b.sha256 = a.output_hash WHERE a.id = %s::uuid"""


FETCH_ARTIFACT: Final[LiteralString] = f"""
SELECT w.*, b.sha256, b.size, b.codec, b.inline_body, b.erased_at
FROM ({_ARTIFACT} WHERE a.id = %s::uuid) w, execution_artifacts a JOIN artifact_blobs b ON b.sha256 = a.output_hash
WHERE a.id = w.id::uuid"""

WHEN_ERASED: Final[LiteralString] = "SELECT erased_at FROM artifact_blobs WHERE sha256 = %s"


READ_CHUNK: Final[LiteralString] = """
SELECT seq, body FROM artifact_chunks WHERE sha256 = %s AND seq > %s ORDER BY seq LIMIT 1"""

VERSIONS: Final[LiteralString] = """
SELECT version, artifact_id::text FROM artifact_versions WHERE task_id = %s::uuid AND name = %s ORDER BY version"""

SET_ALIAS: Final[LiteralString] = """
INSERT INTO artifact_aliases (name, artifact_id) VALUES (%s, %s::uuid)
ON CONFLICT (name) DO UPDATE SET artifact_id = EXCLUDED.artifact_id, moved_at = now()"""

DROP_ALIAS: Final[LiteralString] = "DELETE FROM artifact_aliases WHERE name = %s"

ALIASES: Final[LiteralString] = "SELECT name, artifact_id::text FROM artifact_aliases ORDER BY name"

# --- lineage ----------------------------------------------------------------------------------------------------------

# One row a depth, with the artifacts that are met there first: breadth first, each once, so diamonds cost nothing and a
# cycle ends. A depth is cut where one artifact more than was asked for is known; that one says that there is more.
_WALK_BEGINS: Final[LiteralString] = """
WITH RECURSIVE walk (depth, ids, seen) AS (
    SELECT 0, ARRAY[%(id)s::uuid], ARRAY[%(id)s::uuid]
    UNION ALL
    SELECT w.depth + 1, n.ids, w.seen || n.ids
    FROM walk w CROSS JOIN LATERAL (
        SELECT array_agg(f.id) AS ids FROM (
            SELECT DISTINCT e.id FROM ("""

_WALK_ENDS: Final[LiteralString] = """
            ) e
            WHERE e.id <> ALL (w.seen)
            ORDER BY e.id LIMIT %(max_nodes)s + 1 - cardinality(w.seen)
        ) f
    ) n
    WHERE w.depth <= %(max_depth)s AND cardinality(w.seen) <= %(max_nodes)s AND n.ids IS NOT NULL
)
SELECT a.id::text, a.task_id::text, a.kind, a.name, encode(a.output_hash, 'hex'), w.depth
FROM walk w JOIN execution_artifacts a ON a.id = ANY (w.ids)
ORDER BY w.depth, a.id"""

ANCESTORS: Final[LiteralString] = f"""{_WALK_BEGINS}
                SELECT i.parent_id AS id FROM artifact_inputs i WHERE i.child_id = ANY (w.ids)
                UNION ALL
                SELECT a.parent_id FROM execution_artifacts a WHERE a.id = ANY (w.ids) AND a.parent_id IS NOT NULL
{_WALK_ENDS}"""

DESCENDANTS: Final[LiteralString] = f"""{_WALK_BEGINS}
                SELECT i.child_id AS id FROM artifact_inputs i WHERE i.parent_id = ANY (w.ids)
                UNION ALL
                SELECT a.id FROM execution_artifacts a WHERE a.parent_id = ANY (w.ids)
{_WALK_ENDS}"""

EDGES: Final[LiteralString] = """
SELECT child_id::text, parent_id::text, role FROM artifact_inputs
WHERE child_id = ANY(%(ids)s::uuid[]) AND parent_id = ANY(%(ids)s::uuid[])
UNION
SELECT id::text, parent_id::text, 'parent' FROM execution_artifacts
WHERE id = ANY(%(ids)s::uuid[]) AND parent_id = ANY(%(ids)s::uuid[])
ORDER BY 1, 2, 3"""
