"""The durable engine: DBOS Transact on PostgreSQL.

`engine` is the port, `system` holds every call into DBOS, `serializer` what is stored, `holds` who executes what.
Importing this loads no DBOS: `DbosEngine.start` does.
"""

from __future__ import annotations

from councilor.adapters.dbos.engine import DbosEngine

__all__ = ["DbosEngine"]
