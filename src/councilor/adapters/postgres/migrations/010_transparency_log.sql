-- The append-only log: each statement's envelope is a leaf of one Merkle tree (domain/merkle.py, RFC 6962).

CREATE TABLE log_identity (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    origin   text NOT NULL CHECK (length(origin) BETWEEN 1 AND 255)
);

CREATE TABLE log_pending (                      -- stored, and not yet a leaf; the sequencer empties it
    artifact_id uuid PRIMARY KEY REFERENCES execution_artifacts
);
INSERT INTO log_pending (artifact_id) SELECT id FROM execution_artifacts;

CREATE TABLE log_entries (
    log_index   bigint PRIMARY KEY CHECK (log_index >= 0),      -- without gaps
    leaf_hash   bytea NOT NULL CHECK (octet_length(leaf_hash) = 32),
    artifact_id uuid NOT NULL UNIQUE REFERENCES execution_artifacts
);

CREATE TABLE log_subtrees (                     -- roots of complete subtrees of 256^level leaves
    level  smallint NOT NULL CHECK (level > 0),
    number bigint NOT NULL CHECK (number >= 0),
    root   bytea NOT NULL CHECK (octet_length(root) = 32),
    PRIMARY KEY (level, number)
);

CREATE TABLE log_checkpoints (
    size       bigint PRIMARY KEY CHECK (size > 0),
    note       bytea NOT NULL,                  -- the signed C2SP checkpoint, exactly as it was signed
    created_at timestamptz NOT NULL
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['log_identity', 'log_entries', 'log_subtrees', 'log_checkpoints'] LOOP
        EXECUTE format('CREATE TRIGGER immutable_rows BEFORE UPDATE OR DELETE ON %I
                        FOR EACH ROW EXECUTE FUNCTION refuse_change()', name);
        EXECUTE format('CREATE TRIGGER immutable_table BEFORE TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
    END LOOP;
END
$$;
