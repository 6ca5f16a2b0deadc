"""A1, consensus: on a real task the council decides in time, and its time is recorded apart from evidence's."""

from __future__ import annotations

import json
from pathlib import Path

from library import MainJob

SLA_S = 5.0
"""`council.sla_s` in config/default.yaml, from complete evidence to the verdict."""


def test_the_council_decides_in_time(main_job: MainJob) -> None:
    config = main_job.councilor("config", "show", "--json").expect(0).data
    assert config["council.sla_s"]["value"] == SLA_S
    verdict = main_job.shown["verdict"]
    assert 0 < verdict["consensus_s"] <= SLA_S
    assert verdict["quorum"] is True
    assert len(verdict["votes"]) == 4
    print(f"\nconsensus after {verdict['consensus_s'] * 1000:.2f} ms")


def test_evidence_time_is_apart(main_job: MainJob, tmp_path: Path) -> None:
    record = tmp_path / "record"
    main_job.councilor("verify", main_job.task_id, "--export", record).expect(0)
    verdict = json.loads((record / "verdict-1.body").read_bytes())
    measured = json.loads((record / "evidence-1.body").read_bytes())["evidence"]
    evidence_s = sum(item["duration_s"] for item in measured)
    assert verdict["evidence_s"] == evidence_s > verdict["consensus_s"]
    assert sum(vote["latency_ms"] for vote in verdict["votes"]) / 1000 <= verdict["consensus_s"] * 4
    print(f"\nevidence {evidence_s:.2f} s, consensus {verdict['consensus_s'] * 1000:.2f} ms")
