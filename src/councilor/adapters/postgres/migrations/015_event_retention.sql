-- Events of tasks that ended long ago may go (domain/event.py, `find_passing`), and appending many becomes cheap.

ALTER TABLE task_head ADD COLUMN floor bigint NOT NULL DEFAULT 0;   -- the last number that may be missing

-- Events are only ever written while their task's head is locked in the same transaction, and heads are never removed:
-- a look at the head for each event again would find nothing, and takes more than half of the time of an insertion.
ALTER TABLE event DROP CONSTRAINT event_task_id_fkey;

CREATE INDEX task_head_unended ON task_head (task_id)
    WHERE state NOT IN ('completed', 'rejected', 'undecided', 'failed', 'cancelled');
