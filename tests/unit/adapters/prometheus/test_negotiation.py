"""Which format a scraper gets for its `Accept` header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from councilor.adapters.prometheus import PrometheusMetrics
from councilor.adapters.prometheus.negotiation import CLASSIC, OPENMETRICS, prefers_openmetrics

OM = "application/openmetrics-text"


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        (OM, True),
        (f"{OM};version=1.0.0", True),
        (f"{OM}; version=0.0.1; charset=utf-8", True),
        (f"{OM.upper()}; Version=1.0.0", True),
        (f'{OM}; version="1.0.0"', True),
        (f"{OM};version=2.0.0", False),
        (f"{OM};q=0", False),
        (f"{OM};q=0.0, */*", False),
        (f"{OM};q=0.4, text/plain;q=0.5", False),
        (f"{OM};q=0.5, text/plain;q=0.4", True),
        (f"text/plain, {OM}", True),
        (f"{OM};q=0.5, */*;q=0.9", False),
        (f"{OM};q=nan", False),
        (f"{OM};q=7, text/plain;q=0.1", False),
        (f"{OM};q=abc", False),
        ("application/json", False),
        # What Prometheus 2.42 and 3 send.
        (f"{OM};version=1.0.0,{OM};version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
        (
            f"{OM};version=1.0.0;escaping=allow-utf-8;q=0.6,{OM};version=0.0.1;q=0.5,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            True,
        ),
        ("text/plain;version=0.0.4;q=1,*/*;q=0.1", False),
        (", ;;; =,q=,;q", False),
        ("x," * 100_000 + OM, False),
    ],
)
def test_the_format_is_what_is_preferred(accept, openmetrics):
    assert prefers_openmetrics(accept) is openmetrics


@given(st.text())
def test_no_header_is_an_error(accept):
    kind, body = PrometheusMetrics().render(accept)
    assert kind in (CLASSIC, OPENMETRICS)
    assert body.endswith(b"# EOF\n") == (kind == OPENMETRICS)
