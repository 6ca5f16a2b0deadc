-- Artifacts: immutable metadata with a signed statement, the bytes apart and stored once (domain/artifact.py).

CREATE TABLE artifact_blobs (
    sha256       bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    size         bigint NOT NULL CHECK (size >= 0),
    codec        text NOT NULL CHECK (codec IN ('raw')),
    inline_body  bytea CHECK (octet_length(inline_body) <= 1048576),   -- NULL: the bytes are in artifact_chunks
    condemned_at timestamptz                                           -- when the collector last found it unreferenced
);

CREATE TABLE artifact_chunks (
    sha256 bytea NOT NULL REFERENCES artifact_blobs ON DELETE CASCADE,
    seq    integer NOT NULL CHECK (seq >= 0),
    body   bytea NOT NULL CHECK (octet_length(body) BETWEEN 1 AND 1048576),
    PRIMARY KEY (sha256, seq)
);
ALTER TABLE artifact_chunks ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE TABLE execution_artifacts (
    id          uuid PRIMARY KEY,                -- UUIDv7, made by the client
    task_id     uuid NOT NULL,
    run_id      text NOT NULL,
    attempt     integer NOT NULL CHECK (attempt >= 0),
    kind        text NOT NULL,
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    parent_id   uuid REFERENCES execution_artifacts,
    input_hash  bytea NOT NULL CHECK (octet_length(input_hash) = 32),
    output_hash bytea NOT NULL CHECK (octet_length(output_hash) = 32) REFERENCES artifact_blobs,
    tree        text,
    media_type  text NOT NULL CHECK (length(media_type) BETWEEN 1 AND 255),
    size_bytes  bigint NOT NULL CHECK (size_bytes >= 0),
    created_at  timestamptz NOT NULL,
    statement   bytea NOT NULL,                  -- the envelope exactly as it was signed
    keyid       bytea NOT NULL CHECK (octet_length(keyid) = 32)
);
CREATE INDEX execution_artifacts_task ON execution_artifacts (task_id, created_at DESC, id DESC);
CREATE INDEX execution_artifacts_parent ON execution_artifacts (parent_id);

CREATE TABLE artifact_inputs (
    child_id  uuid NOT NULL REFERENCES execution_artifacts,
    ordinal   integer NOT NULL CHECK (ordinal >= 0),
    parent_id uuid NOT NULL REFERENCES execution_artifacts,
    role      text NOT NULL CHECK (length(role) BETWEEN 1 AND 255),
    PRIMARY KEY (child_id, parent_id, role),
    UNIQUE (child_id, ordinal)
);
CREATE INDEX artifact_inputs_parent ON artifact_inputs (parent_id, child_id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is immutable: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER immutable_rows BEFORE UPDATE OR DELETE ON execution_artifacts
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER immutable_table BEFORE TRUNCATE ON execution_artifacts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER immutable_rows BEFORE UPDATE OR DELETE ON artifact_inputs
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER immutable_table BEFORE TRUNCATE ON artifact_inputs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
