"""docs/reference/health.md names every component that can be looked at, and every port that may be taken."""

from __future__ import annotations

import re
from pathlib import Path

from councilor.adapters.postgres.probes import WAITING_S, PoolProbe
from councilor.app import health_monitor, open_runtime
from councilor.domain.metric import CATALOGUE
from councilor.settings import load_settings
from councilor.surfaces.cli.observed import PORTS
from councilor.surfaces.http.server import HEADER_BYTES, MOST_CONNECTIONS, PATIENCE_S

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "health.md").read_text(encoding="utf-8")


async def test_every_component_has_its_row(tmp_path: Path):
    flags = {f"observability.{name}": True for name in ("statsd", "redis", "prometheus")}
    flags["traces.endpoint"] = "http://127.0.0.1:9"
    settings = load_settings(flags={"data_dir": str(tmp_path), **flags})
    async with open_runtime(settings) as runtime:
        room = CATALOGUE["v3.health.status"].labels[0].cap
        found = {item.check.component for item in health_monitor(runtime).health().observations}
    assert set(re.findall(r"^\| `([a-z]+)` \|", PAGE, re.M)) == found | {PoolProbe.component}
    assert len(found) + 1 <= room, "each has a series of its own"


def test_limits_are_those_of_the_code():
    assert f"{WAITING_S:g} s" in PAGE
    assert f"{PATIENCE_S:g} seconds" in PAGE and f"{MOST_CONNECTIONS} connections" in PAGE
    assert f"{HEADER_BYTES // 1024} KiB" in PAGE
    assert PORTS == 10 and "the ten from there on" in PAGE
