-- The ordered event stream of each task, and the task's head beside it (domain/event.py, domain/task.py).

CREATE TABLE task_head (
    task_id      uuid PRIMARY KEY,               -- UUIDv7: its order is the order of submission
    last         bigint NOT NULL CHECK (last > 0),
    state        text NOT NULL,
    repository   text NOT NULL,
    spec_id      text NOT NULL,
    title        text NOT NULL,
    tier         smallint NOT NULL,
    worker       text,
    decision     text,
    commit       text,
    submitted_at timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL
);

-- people name a task by the first or the last digits of its id
CREATE INDEX task_head_begins ON task_head ((task_id::text) text_pattern_ops);
CREATE INDEX task_head_ends ON task_head (reverse(task_id::text) text_pattern_ops);

CREATE TABLE event (
    task_id uuid NOT NULL REFERENCES task_head,
    seq     bigint NOT NULL CHECK (seq > 0),     -- without gaps: a reader's cursor is the last one it saw
    attempt integer NOT NULL,
    type    text NOT NULL,
    ts      timestamptz NOT NULL,
    data    json NOT NULL,                       -- json, not jsonb: what was written is read back exactly
    PRIMARY KEY (task_id, seq)
);
