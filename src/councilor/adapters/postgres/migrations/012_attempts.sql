-- Which attempt at a task may write (ports/events.py, `begin`). An execution that was taken over is refused, whatever it
-- writes and whoever it is: a frozen process that wakes up must not write.

ALTER TABLE task_head ADD COLUMN attempt integer NOT NULL DEFAULT 0;   -- the newest that has begun

CREATE FUNCTION refuse_older_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    newest integer;
BEGIN
    IF NEW.attempt > 0 THEN                    -- 0: written by nobody's attempt, such as a person's cancellation
        SELECT attempt INTO newest FROM task_head WHERE task_id = NEW.task_id FOR SHARE;
        IF newest > NEW.attempt THEN
            RAISE EXCEPTION 'attempt % at task % was taken over by attempt %', NEW.attempt, NEW.task_id, newest
                USING ERRCODE = 'CF001';
        END IF;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER execution_artifacts_fence BEFORE INSERT ON execution_artifacts
    FOR EACH ROW EXECUTE FUNCTION refuse_older_attempt();
