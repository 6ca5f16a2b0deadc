-- Places in a task, metadata, versions of each name, and aliases (domain/artifact.py).

ALTER TABLE execution_artifacts
    ADD COLUMN seq integer CHECK (seq > 0),            -- NULL: recorded before places were signed
    ADD COLUMN metadata json NOT NULL DEFAULT '{}';    -- json, not jsonb: what was written is read back exactly
CREATE UNIQUE INDEX execution_artifacts_place ON execution_artifacts (task_id, seq);
CREATE INDEX execution_artifacts_kind ON execution_artifacts (kind, id DESC);
-- people name an artifact by the first or the last digits of its id
CREATE INDEX execution_artifacts_begins ON execution_artifacts ((id::text) text_pattern_ops);
CREATE INDEX execution_artifacts_ends ON execution_artifacts (reverse(id::text) text_pattern_ops);
CREATE INDEX execution_artifacts_output ON execution_artifacts (output_hash);
-- statements are signed base64 and do not compress: no time is spent on trying
ALTER TABLE execution_artifacts ALTER COLUMN statement SET STORAGE EXTERNAL;

CREATE TABLE artifact_versions (
    task_id     uuid NOT NULL,
    name        text NOT NULL,
    version     integer NOT NULL CHECK (version > 0),
    artifact_id uuid NOT NULL UNIQUE REFERENCES execution_artifacts,
    PRIMARY KEY (task_id, name, version)
);
INSERT INTO artifact_versions (task_id, name, version, artifact_id)
SELECT task_id, name, row_number() OVER (PARTITION BY task_id, name ORDER BY id), id FROM execution_artifacts;

CREATE TABLE artifact_aliases (
    name        text PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 128),
    artifact_id uuid NOT NULL REFERENCES execution_artifacts,
    moved_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TRIGGER immutable_rows BEFORE UPDATE OR DELETE ON artifact_versions
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER immutable_table BEFORE TRUNCATE ON artifact_versions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
