-- Where a paused task goes on (domain/event.py, fold).

ALTER TABLE task_head ADD COLUMN resumes text;   -- null while it is not paused
