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
