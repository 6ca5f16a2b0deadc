-- What may be erased, what must not, and how bytes lie: compressed, immutable, or erased (domain/keeping.py).

CREATE TABLE artifact_releases (                -- artifacts whose bytes may go
    artifact_id uuid PRIMARY KEY REFERENCES execution_artifacts,
    released_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE legal_holds (                      -- tasks whose bytes must stay
    task_id   uuid PRIMARY KEY,
    reason    text NOT NULL CHECK (length(reason) BETWEEN 1 AND 1000),
    placed_at timestamptz NOT NULL
);

ALTER TABLE artifact_blobs
    ADD COLUMN erased_at timestamptz,           -- when the collector removed the bytes
    DROP CONSTRAINT artifact_blobs_codec_check,
    DROP CONSTRAINT artifact_blobs_inline_body_check,
    ADD CHECK (codec IN ('raw', 'zstd')),
    ADD CHECK (octet_length(inline_body) <= 1048576 + 4096),   -- zstd adds a little to what does not compress
    ADD CHECK (erased_at IS NULL OR inline_body IS NULL);
-- compressed by us where that pays: the server need not try
ALTER TABLE artifact_blobs ALTER COLUMN inline_body SET STORAGE EXTERNAL;
CREATE INDEX artifact_blobs_condemned ON artifact_blobs (condemned_at, sha256)
    WHERE condemned_at IS NOT NULL AND erased_at IS NULL;
CREATE INDEX artifact_blobs_erased ON artifact_blobs (sha256) WHERE erased_at IS NOT NULL;

ALTER TABLE artifact_chunks
    DROP CONSTRAINT artifact_chunks_body_check,
    ADD CHECK (octet_length(body) BETWEEN 1 AND 1048576 + 4096);

-- Bytes are written once. They may be marked, erased, and after an erasure written again; never changed.
CREATE FUNCTION refuse_other_bytes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.sha256 = OLD.sha256 AND NEW.size = OLD.size AND (
        NEW.erased_at IS NOT NULL
        OR OLD.erased_at IS NOT NULL
        OR (NEW.codec = OLD.codec AND NEW.inline_body IS NOT DISTINCT FROM OLD.inline_body)
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'artifact_blobs is immutable: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER immutable_rows BEFORE UPDATE ON artifact_blobs
    FOR EACH ROW EXECUTE FUNCTION refuse_other_bytes();

CREATE FUNCTION refuse_lost_bytes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND NOT EXISTS (
        SELECT FROM artifact_blobs WHERE sha256 = OLD.sha256 AND erased_at IS NULL
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'artifact_chunks is immutable: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER immutable_rows BEFORE UPDATE OR DELETE ON artifact_chunks
    FOR EACH ROW EXECUTE FUNCTION refuse_lost_bytes();
CREATE TRIGGER immutable_table BEFORE TRUNCATE ON artifact_blobs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER immutable_table BEFORE TRUNCATE ON artifact_chunks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
