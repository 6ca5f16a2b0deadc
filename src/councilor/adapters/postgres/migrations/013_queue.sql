-- The queue of tasks, and the leases of the processes that execute them (domain/queue.py).

CREATE TABLE executor_lease (
    executor_id uuid PRIMARY KEY,
    host        text NOT NULL,
    pid         integer NOT NULL,
    version     text NOT NULL,
    session_pid integer,                        -- of the connection that renews it; null before the first renewal
    lease       interval NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT now(),
    renewed_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL
);

CREATE TABLE task_queue (
    task_id     uuid PRIMARY KEY REFERENCES task_head,
    repository  text NOT NULL,
    tier        smallint NOT NULL,
    priority    smallint NOT NULL CHECK (priority BETWEEN -100 AND 100),
    not_before  timestamptz,
    after       uuid[] NOT NULL,
    paused      boolean NOT NULL DEFAULT false,
    enqueued_at timestamptz NOT NULL,
    executor_id uuid REFERENCES executor_lease ON DELETE SET NULL,   -- null: it waits
    claimed_at  timestamptz,
    claims      integer NOT NULL DEFAULT 0,
    version     text                            -- of the executor that began it; no other goes on with it
);
CREATE INDEX task_queue_waiting ON task_queue (priority DESC, task_id) WHERE executor_id IS NULL;
CREATE INDEX task_queue_claimed ON task_queue (repository, tier) WHERE executor_id IS NOT NULL;
