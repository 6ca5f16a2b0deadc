-- Schedules (domain/schedule.py): what is submitted again and again, and which due time somebody deals with.

CREATE TABLE schedule (
    id         uuid PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    definition text NOT NULL,                   -- JSON: what is submitted, and when
    record     text NOT NULL,                   -- JSON: what became of its due times
    paused     boolean NOT NULL DEFAULT false,
    next_due   timestamptz NOT NULL,            -- the first due time that nobody has taken
    pending    timestamptz,                     -- the due time that was taken and is not settled
    holder     uuid REFERENCES executor_lease ON DELETE SET NULL,   -- who took it; null: it waits for another
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX schedule_holder ON schedule (holder) WHERE holder IS NOT NULL;
