"""Every statement this adapter sends, by name.

Rules: values are parameters, always; a column list is written once; no statement is built from text at run time.
"""

# ruff: noqa: S608 - the parts are literals, which mypy checks as LiteralString

from __future__ import annotations

from typing import Final, LiteralString

# --- migrations ------------------------------------------------------------------------------------------------------

HAS_MIGRATION_LEDGER: Final[LiteralString] = "SELECT to_regclass('schema_migration') IS NOT NULL"

LOCK_MIGRATIONS: Final[LiteralString] = "SELECT pg_advisory_lock(%s)"

CREATE_MIGRATION_LEDGER: Final[LiteralString] = """
CREATE TABLE IF NOT EXISTS schema_migration (
    number     integer PRIMARY KEY,
    name       text NOT NULL,
    sha256     bytea NOT NULL CHECK (octet_length(sha256) = 32),
    applied_at timestamptz NOT NULL DEFAULT now()
)"""

READ_MIGRATION_LEDGER: Final[LiteralString] = "SELECT number, name, sha256 FROM schema_migration"

ADD_TO_MIGRATION_LEDGER: Final[LiteralString] = """
INSERT INTO schema_migration (number, name, sha256) VALUES (%s, %s, %s)"""

# --- events ----------------------------------------------------------------------------------------------------------

_HEAD: Final[LiteralString] = (
    "task_id::text, last, state, repository, spec_id, title, tier, worker, decision, commit, submitted_at, updated_at"
)

LOCK_HEADS: Final[LiteralString] = f"""
SELECT {_HEAD} FROM task_head WHERE task_id = ANY(%s::uuid[]) ORDER BY task_head.task_id FOR UPDATE"""

ADD_HEAD: Final[LiteralString] = """
INSERT INTO task_head (task_id, last, state, repository, spec_id, title, tier, worker, decision, commit, submitted_at,
                       updated_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""

MOVE_HEAD: Final[LiteralString] = """
UPDATE task_head SET last = %s, state = %s, decision = %s, commit = %s, updated_at = %s WHERE task_id = %s"""

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

# --- artifacts -------------------------------------------------------------------------------------------------------

ADD_BLOB: Final[LiteralString] = """
INSERT INTO artifact_blobs (sha256, size, codec, inline_body) VALUES (%(sha256)s, %(size)s, 'raw', %(inline_body)s)
ON CONFLICT (sha256) DO NOTHING RETURNING true"""

KEEP_BLOB: Final[LiteralString] = """
UPDATE artifact_blobs SET condemned_at = NULL WHERE sha256 = %s AND condemned_at IS NOT NULL"""

ADD_CHUNK: Final[LiteralString] = "INSERT INTO artifact_chunks (sha256, seq, body) VALUES (%s, %s, %s)"

ADD_ARTIFACT: Final[LiteralString] = """
INSERT INTO execution_artifacts (id, task_id, run_id, attempt, kind, name, parent_id, input_hash, output_hash, tree,
                                 media_type, size_bytes, created_at, statement, keyid)
VALUES (%(id)s, %(task_id)s, %(run_id)s, %(attempt)s, %(kind)s, %(name)s, %(parent_id)s, %(input_hash)s,
        %(output_hash)s, %(tree)s, %(media_type)s, %(size_bytes)s, %(created_at)s, %(statement)s, %(keyid)s)
ON CONFLICT (id) DO NOTHING RETURNING true"""

ADD_INPUT: Final[LiteralString] = """
INSERT INTO artifact_inputs (child_id, ordinal, parent_id, role) VALUES (%s, %s, %s, %s)"""

KNOWN_ARTIFACTS: Final[LiteralString] = """
SELECT id::text, encode(output_hash, 'hex') FROM execution_artifacts WHERE id = ANY(%s::uuid[])"""

_ARTIFACT: Final[LiteralString] = """
SELECT a.id::text, a.task_id::text, a.run_id, a.attempt, a.kind, a.name, a.parent_id::text,
       encode(a.input_hash, 'hex'), encode(a.output_hash, 'hex'), a.tree, a.media_type, a.size_bytes, a.created_at,
       a.statement, encode(a.keyid, 'hex'),
       ARRAY(SELECT ARRAY[i.parent_id::text, encode(p.output_hash, 'hex'), i.role]
             FROM artifact_inputs i JOIN execution_artifacts p ON p.id = i.parent_id
             WHERE i.child_id = a.id ORDER BY i.ordinal)
FROM execution_artifacts a"""

GET_ARTIFACT: Final[LiteralString] = f"{_ARTIFACT} WHERE a.id = %s"

ARTIFACTS_OF_TASK: Final[LiteralString] = f"{_ARTIFACT} WHERE a.task_id = %s ORDER BY a.id"

LATEST_ARTIFACTS: Final[LiteralString] = f"""{_ARTIFACT}
WHERE a.id IN (SELECT DISTINCT ON (name) id FROM execution_artifacts
               WHERE task_id = %s ORDER BY name, id DESC)
ORDER BY a.id DESC"""

ARTIFACTS_ABOUT_TREE: Final[LiteralString] = f"""
{_ARTIFACT} WHERE a.tree = %s AND a.name = %s ORDER BY a.created_at DESC, a.id DESC LIMIT %s"""

READ_BLOB: Final[LiteralString] = """
SELECT b.sha256, b.inline_body
FROM execution_artifacts a JOIN artifact_blobs b ON b.sha256 = a.output_hash WHERE a.id = %s"""

READ_CHUNKS: Final[LiteralString] = "SELECT body FROM artifact_chunks WHERE sha256 = %s ORDER BY seq"
