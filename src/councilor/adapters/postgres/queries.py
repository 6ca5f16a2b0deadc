"""Every statement this adapter sends, by name.

Rules: values are parameters, always; a column list is written once; no statement is built from text at run time.
"""

# ruff: noqa: S608 - the parts are literals, which mypy checks as LiteralString

from __future__ import annotations

from collections.abc import Mapping
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

# --- backup, restore and check ---------------------------------------------------------------------------------------

_OF_USERS: Final[LiteralString] = """
n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg\\_temp\\_%'
AND n.nspname NOT LIKE 'pg\\_toast\\_temp\\_%'
AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
"""

TAKE_SNAPSHOT: Final[LiteralString] = """
SELECT pg_export_snapshot(), now(), pg_database_size(current_database())"""

LIST_TABLES: Final[LiteralString] = f"""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND {_OF_USERS} ORDER BY 1, 2"""

LIST_RELATIONS: Final[LiteralString] = f"""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_OF_USERS} ORDER BY 1, 2"""

COUNT_ROWS: Final[LiteralString] = "SELECT count(*) FROM {table}"

HAS_ROWS: Final[LiteralString] = "SELECT EXISTS (SELECT FROM {table})"

# Sent through psql as the first statement of the restoring transaction: it has no parameters.
DROP_WHAT_IS_EMPTY: Final[LiteralString] = f"""
DO $restore$
DECLARE
    item record;
    found boolean;
BEGIN
    SET LOCAL lock_timeout = '15s';
    FOR item IN
        SELECT c.oid::regclass AS place, n.nspname, c.relname
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND {_OF_USERS}
    LOOP
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', item.place);
        IF (item.nspname <> 'dbos' AND item.relname <> 'schema_migration')
            OR (item.nspname = 'dbos' AND item.relname = 'workflow_status') THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM %s)', item.place) INTO found;
            IF found THEN
                RAISE EXCEPTION 'the table % has got rows meanwhile', item.place;
            END IF;
        END IF;
    END LOOP;
    DROP SCHEMA IF EXISTS dbos CASCADE;
    FOR item IN
        SELECT c.oid::regclass AS place FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND {_OF_USERS}
    LOOP
        EXECUTE format('DROP TABLE IF EXISTS %s CASCADE', item.place);
    END LOOP;
    FOR item IN
        SELECT c.oid::regclass AS place FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'S' AND {_OF_USERS}
    LOOP
        EXECUTE format('DROP SEQUENCE IF EXISTS %s CASCADE', item.place);
    END LOOP;
    FOR item IN
        SELECT p.oid::regprocedure AS place FROM pg_proc p
        WHERE p.pronamespace = 'public'::regnamespace AND p.prokind IN ('f', 'p')
            AND NOT EXISTS (SELECT FROM pg_depend d
                            WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e')
    LOOP
        EXECUTE format('DROP ROUTINE IF EXISTS %s CASCADE', item.place);
    END LOOP;
    FOR item IN
        SELECT t.oid::regtype AS place FROM pg_type t
        WHERE t.typnamespace = 'public'::regnamespace AND t.typtype IN ('e', 'd')
            AND NOT EXISTS (SELECT FROM pg_depend d
                            WHERE d.objid = t.oid AND d.classid = 'pg_type'::regclass AND d.deptype = 'e')
    LOOP
        EXECUTE format('DROP TYPE IF EXISTS %s CASCADE', item.place);
    END LOOP;
END
$restore$;
"""

TASKS_TO_AUDIT: Final[LiteralString] = """
SELECT task_id::text FROM task_head UNION SELECT task_id::text FROM execution_artifacts ORDER BY 1"""

DESCRIBE_DATABASE: Final[LiteralString] = """
SELECT oid::bigint, pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database
WHERE datname = current_database()"""

LIST_THROWAWAYS: Final[LiteralString] = "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"

HOLD_NAME: Final[LiteralString] = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"

LET_GO_OF_NAME: Final[LiteralString] = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"

CREATE_DATABASE: Final[LiteralString] = """
CREATE DATABASE {name} TEMPLATE template0 ENCODING {encoding} LC_COLLATE {collate} LC_CTYPE {ctype}"""

DROP_DATABASE: Final[LiteralString] = "DROP DATABASE IF EXISTS {name} WITH (FORCE)"

# Everything that a migration can make in `public`, each with a name and a text that says all about it.
DESCRIBE_SCHEMA: Final[LiteralString] = """
SELECT 'column ' || a.attrelid::regclass || '.' || a.attname,
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                 pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated, a.attstorage)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND a.attnum > 0
    AND NOT a.attisdropped
UNION ALL
SELECT 'constraint ' || conname || ' of ' || conrelid::regclass, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 AND contype <> 'n'
UNION ALL
SELECT 'index ' || indexrelid::regclass, pg_get_indexdef(indexrelid) || CASE WHEN indisvalid THEN '' ELSE ' INVALID' END
FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'trigger ' || tgname || ' of ' || tgrelid::regclass, pg_get_triggerdef(t.oid) || ' ' || tgenabled::text
FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
WHERE c.relnamespace = 'public'::regnamespace AND NOT tgisinternal
UNION ALL
SELECT 'function ' || p.oid::regprocedure, pg_get_functiondef(p.oid)
FROM pg_proc p WHERE pronamespace = 'public'::regnamespace AND prokind IN ('f', 'p')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass
                    AND d.deptype = 'e')
UNION ALL
SELECT 'view ' || c.oid::regclass, pg_get_viewdef(c.oid)
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('v', 'm')"""

# What each trigger that refuses every change is for: bits of tgtype are 8 DELETE, 16 UPDATE, 32 TRUNCATE.
LIST_REFUSALS: Final[LiteralString] = """
SELECT n.nspname, c.relname, bit_or(t.tgtype)::integer, min(a.attname)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_proc p ON p.oid = t.tgfoid
JOIN pg_attribute a ON a.attrelid = c.oid
    AND a.attnum = CASE WHEN array_length(t.tgattr::smallint[], 1) > 0 THEN (t.tgattr::smallint[])[0] ELSE 1 END
WHERE p.proname = 'refuse_change' AND NOT t.tgisinternal GROUP BY 1, 2 ORDER BY 1, 2"""

TRY_UPDATE: Final[LiteralString] = "UPDATE {table} SET {column} = {column}"

TRY_DELETE: Final[LiteralString] = "DELETE FROM {table}"

TRY_TRUNCATE: Final[LiteralString] = "TRUNCATE {table} CASCADE"

SWITCH_TRIGGERS_OFF: Final[LiteralString] = "ALTER TABLE {table} DISABLE TRIGGER USER"

SWITCH_TRIGGERS_ON: Final[LiteralString] = "ALTER TABLE {table} ENABLE TRIGGER USER"

FLIP_INLINE_BODY: Final[LiteralString] = """
UPDATE artifact_blobs SET inline_body = set_byte(inline_body, 0, get_byte(inline_body, 0) # 1)
WHERE sha256 = (SELECT output_hash FROM execution_artifacts WHERE id = %s)"""

FLIP_CHUNK: Final[LiteralString] = """
UPDATE artifact_chunks SET body = set_byte(body, 100, get_byte(body, 100) # 1)
WHERE sha256 = (SELECT output_hash FROM execution_artifacts WHERE id = %s) AND seq = 0"""

ALTER_NAME: Final[LiteralString] = "UPDATE execution_artifacts SET name = name || '/altered' WHERE id = %s"

FLIP_STATEMENT: Final[LiteralString] = """
UPDATE execution_artifacts SET statement = set_byte(statement, 40, get_byte(statement, 40) # 1) WHERE id = %s"""

CUT_INPUTS: Final[LiteralString] = "DELETE FROM artifact_inputs WHERE child_id = %s"

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

# --- artifacts: storing ----------------------------------------------------------------------------------------------

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

# --- artifacts: reading ----------------------------------------------------------------------------------------------

_ARTIFACT: Final[LiteralString] = """
SELECT a.id::text, a.task_id::text, a.run_id, a.attempt, a.kind, a.name, a.parent_id::text,
       encode(a.input_hash, 'hex'), encode(a.output_hash, 'hex'), a.tree, a.media_type, a.size_bytes, a.created_at,
       a.statement, encode(a.keyid, 'hex'), a.seq, a.metadata::text,
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

# --- artifacts: lineage ----------------------------------------------------------------------------------------------

# One row a depth, with the artifacts that are met there first: breadth first, each once, so diamonds cost nothing and a
# cycle ends. A depth is cut where one artifact more than was asked for is known; that one says that there is more.
_WALK_BEGINS: Final[LiteralString] = """
WITH RECURSIVE walk (depth, ids, seen) AS (
    SELECT 0, ARRAY[%(id)s::uuid], ARRAY[%(id)s::uuid]
    UNION ALL
    SELECT w.depth + 1, n.ids, w.seen || n.ids
    FROM walk w CROSS JOIN LATERAL (
        SELECT array_agg(f.id) AS ids FROM (
            SELECT DISTINCT e.id FROM unnest(w.ids) AS near (id) CROSS JOIN LATERAL ("""

_WALK_ENDS: Final[LiteralString] = """
            ) e
            WHERE e.id <> ALL (w.seen)
            ORDER BY e.id LIMIT %(max_nodes)s + 1 - cardinality(w.seen)
        ) f
    ) n
    WHERE w.depth <= %(max_depth)s AND cardinality(w.seen) <= %(max_nodes)s AND n.ids IS NOT NULL
)
SELECT a.id::text, a.task_id::text, a.kind, a.name, encode(a.output_hash, 'hex'), w.depth
FROM walk w CROSS JOIN LATERAL unnest(w.ids) AS met (id) JOIN execution_artifacts a ON a.id = met.id
ORDER BY w.depth, a.id"""

ANCESTORS: Final[LiteralString] = f"""{_WALK_BEGINS}
                SELECT i.parent_id AS id FROM artifact_inputs i WHERE i.child_id = near.id
                UNION ALL
                SELECT a.parent_id FROM execution_artifacts a WHERE a.id = near.id AND a.parent_id IS NOT NULL
{_WALK_ENDS}"""

DESCENDANTS: Final[LiteralString] = f"""{_WALK_BEGINS}
                SELECT i.child_id AS id FROM artifact_inputs i WHERE i.parent_id = near.id
                UNION ALL
                SELECT a.id FROM execution_artifacts a WHERE a.parent_id = near.id
{_WALK_ENDS}"""

EDGES: Final[LiteralString] = """
SELECT child_id::text, parent_id::text, role FROM artifact_inputs
WHERE child_id = ANY(%(ids)s::uuid[]) AND parent_id = ANY(%(ids)s::uuid[])
UNION
SELECT id::text, parent_id::text, 'parent' FROM execution_artifacts
WHERE id = ANY(%(ids)s::uuid[]) AND parent_id = ANY(%(ids)s::uuid[])
ORDER BY 1, 2, 3"""

# --- artifacts: keeping and erasing ----------------------------------------------------------------------------------

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

# --- the transparency log --------------------------------------------------------------------------------------------

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
