"""How the engine's connections are made: none of them waits for ever for a host that is cut off.

Rules:
- What was sent and not acknowledged for `SILENT_S` seconds breaks the connection; so does an answer that is waited for
  while the other side does not acknowledge that it is there. Linux alone would try for a quarter of an hour.
- What the URL says about this counts instead.

Source: PostgreSQL 18 manual, 32.1.2 (tcp_user_timeout, keepalives); tcp(7).
"""

from __future__ import annotations

from psycopg.conninfo import conninfo_to_dict

__all__ = ["connection_parameters"]

SILENT_S = 15


def connection_parameters(database_url: str, application_name: str) -> dict[str, str | int]:
    """What libpq is given besides the URL."""
    ours: dict[str, str | int] = {
        "connect_timeout": 5,
        "tcp_user_timeout": SILENT_S * 1000,
        "keepalives_idle": SILENT_S // 3,
        "keepalives_interval": SILENT_S // 3,
        "keepalives_count": 3,
    }
    given = conninfo_to_dict(database_url)
    return {name: value for name, value in ours.items() if name not in given} | {"application_name": application_name}
