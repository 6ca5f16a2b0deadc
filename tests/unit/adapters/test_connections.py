"""No connection waits for ever for a host that is cut off; the two-hosts test shows that by doing."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from councilor.adapters.dbos.connecting import connection_parameters
from councilor.adapters.postgres.pool import connection_string

URL = "postgresql://someone@db.invalid/councilor"
PATIENT = ("tcp_user_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count")


def test_the_engines_connections_have_limits_for_silence() -> None:
    given = connection_parameters(URL, "councilor engine x")
    assert given["application_name"] == "councilor engine x"
    assert {name: int(given[name]) for name in PATIENT} == {
        "tcp_user_timeout": 15_000, "keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 3,
    }  # fmt: skip


def test_what_the_url_says_about_silence_counts() -> None:
    given = connection_parameters(f"{URL}?tcp_user_timeout=9&keepalives_count=7", "x")
    assert "tcp_user_timeout" not in given and "keepalives_count" not in given
    text = connection_string(
        f"{URL}?tcp_user_timeout=9", connect_timeout_s=5, statement_timeout_s=30, application_name="x"
    )
    assert conninfo_to_dict(text)["tcp_user_timeout"] == "9"


@pytest.mark.parametrize(("statement_s", "silent_ms"), [(30.0, "15000"), (3.3, "3300")])
def test_no_pool_waits_longer_for_silence_than_for_a_statement(statement_s: float, silent_ms: str) -> None:
    text = connection_string(URL, connect_timeout_s=5, statement_timeout_s=statement_s, application_name="x")
    found = conninfo_to_dict(text)
    assert found["tcp_user_timeout"] == silent_ms
    assert {found[name] for name in PATIENT[1:]} == {"5", "3"}
