"""Every statement about the schema: migrations, backups and checks."""

# ruff: noqa: S608 - the parts are literals, which mypy checks as LiteralString

from __future__ import annotations

from typing import Final, LiteralString

# --- migrations -------------------------------------------------------------------------------------------------------

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

# --- backup, restore and check ----------------------------------------------------------------------------------------

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
