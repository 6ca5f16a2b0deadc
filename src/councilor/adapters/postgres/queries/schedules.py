"""Every statement about schedules.

`clock_timestamp()` and no other is their time: it goes on within a transaction, and tests put another in its place.
"""

# ruff: noqa: S608 - the parts are literals, which mypy checks as LiteralString

from __future__ import annotations

from typing import Final, LiteralString

_HEAD: Final[LiteralString] = "s.definition, s.record, s.paused, s.next_due, s.pending"

NOW: Final[LiteralString] = "SELECT clock_timestamp()"

ADD: Final[LiteralString] = """
INSERT INTO schedule (id, name, definition, record, next_due) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (name) DO NOTHING RETURNING 1"""

FIND: Final[LiteralString] = f"SELECT {_HEAD} FROM schedule s WHERE s.name = %s"

LIST: Final[LiteralString] = f'SELECT {_HEAD} FROM schedule s ORDER BY s.name COLLATE "C"'

LOCK: Final[LiteralString] = f"SELECT {_HEAD}, clock_timestamp() FROM schedule s WHERE s.name = %s FOR UPDATE"

LOCK_DUE: Final[LiteralString] = f"""
SELECT {_HEAD}, clock_timestamp() FROM schedule s
WHERE NOT s.paused
  AND (CASE WHEN s.pending IS NULL THEN s.next_due <= clock_timestamp()
       ELSE coalesce(s.holder = %(executor)s, true) END)
  AND EXISTS (SELECT FROM executor_lease l WHERE l.executor_id = %(executor)s AND l.expires_at > now())
ORDER BY coalesce(s.pending, s.next_due), s.id LIMIT 1 FOR UPDATE OF s SKIP LOCKED"""
"""What waits longest: a due time that has come, or one whose holder is gone or asks again."""

LOCK_PENDING: Final[LiteralString] = f"""
SELECT {_HEAD} FROM schedule s WHERE s.id = %s AND s.pending = %s AND s.holder = %s FOR UPDATE"""

STORE: Final[LiteralString] = """
UPDATE schedule SET record = %(record)s, paused = %(paused)s, next_due = %(next_due)s, pending = %(pending)s
WHERE id = %(id)s"""

STORE_TAKEN: Final[LiteralString] = """
UPDATE schedule SET record = %(record)s, next_due = %(next_due)s, pending = %(pending)s, holder = %(holder)s
WHERE id = %(id)s"""

REMOVE: Final[LiteralString] = "DELETE FROM schedule WHERE name = %s RETURNING 1"
