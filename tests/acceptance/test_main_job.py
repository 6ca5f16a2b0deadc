"""The main job, whole: a real bug in a real library is repaired, judged, signed and committed, by one command."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from commandline import state_of
from journey import git
from library import CAUGHT_BY, MainJob

from councilor.pipeline.gates import GATES


def test_the_change_is_accepted(main_job: MainJob) -> None:
    main_job.printed.expect(0)
    outcome = main_job.printed.data
    assert (outcome["state"], outcome["decision"]) == ("completed", "accept")
    assert outcome["branch"] == f"councilor/{main_job.task_id}"
    print(f"\nrepaired and judged in {main_job.seconds:.1f} s")


def test_the_verdict_rests_on_evidence_for_exactly_this_tree(main_job: MainJob) -> None:
    verdict = main_job.shown["verdict"]
    tree = git(main_job.repository, "rev-parse", f"{main_job.printed.data['branch']}^{{tree}}")
    assert verdict["tree"] == main_job.printed.data["tree"] == tree
    assert verdict["base_tree"] == git(main_job.repository, "rev-parse", "main^{tree}")
    assert {vote["judge"]: vote["choice"] for vote in verdict["votes"]} == dict.fromkeys(
        ("constitutional", "technical_auditor", "quality_evaluator", "integration_validator"), "accept"
    )
    gates = {gate["gate"]: gate["status"] for gate in verdict["gates"]}
    assert list(gates) == [gate.name for gate in GATES]
    unasked = {"answers"}
    assert {gate: status for gate, status in gates.items() if status not in {"passed", "warned"}} == {
        gate: "skipped" for gate in ("types", *unasked) if gates[gate] == "skipped"
    }
    for gate in ("base_tests", "acceptance", "revert_check", "evidence_integrity", "coverage_changed_lines"):
        assert gates[gate] == "passed"


def test_what_was_measured_is_kept(main_job: MainJob, tmp_path: Path) -> None:
    record = tmp_path / "record"
    main_job.councilor("verify", main_job.task_id, "--export", record).expect(0)
    evidence = json.loads((record / "evidence-1.body").read_bytes())
    base, candidate = (
        {item["nodeid"]: item["outcome"] for item in evidence[side]["records"]} for side in ("base", "candidate")
    )
    assert len(base) == len(candidate) == 97
    assert [nodeid for nodeid, outcome in base.items() if outcome == "failed"] == list(CAUGHT_BY)
    assert {nodeid for nodeid, outcome in candidate.items() if outcome != "passed"} == {
        nodeid for nodeid, outcome in base.items() if outcome == "skipped"
    }
    assert {item["tree"] for item in evidence["evidence"]} <= {
        main_job.printed.data["tree"],
        main_job.shown["verdict"]["base_tree"],
    }
    logs = {item["log"] for item in evidence["evidence"] if item["log"]}
    artifacts = {item["id"]: item for item in main_job.shown["artifacts"]}
    assert logs and {artifacts[log]["kind"] for log in logs} == {"command_log"}
    names = [item["name"] for item in artifacts.values()]
    assert {
        "spec",
        "patch/1",
        "report/1",
        "transcript/1",
        "tests/base",
        "evidence/1",
        "case/1",
        "claims/1",
        "verdict/1",
        "strength/1",
        "case/1.2",
        "verdict/1.2",
    } <= set(names)
    assert artifacts[main_job.printed.data["verdict_artifact"]]["name"] == "verdict/1.2"


def test_everything_is_signed(main_job: MainJob) -> None:
    report = main_job.councilor.finish("verify", main_job.task_id, "--json").expect(0).data
    assert report["sound"] is True
    assert report["findings"] == []
    assert report["artifacts"] == report["statements"] == len(main_job.shown["artifacts"])
    assert len(report["keyids"]) == 1


def test_one_commit_names_its_reasons(main_job: MainJob, tmp_path: Path) -> None:
    repository, branch = main_job.repository, main_job.printed.data["branch"]
    assert git(repository, "rev-parse", branch) == main_job.printed.data["commit"]
    assert git(repository, "rev-list", "--count", f"main..{branch}") == "1"
    assert git(repository, "diff", "--name-only", "main", branch) == "parse.py"
    trailers = dict(
        line.split(": ", 1)
        for line in git(repository, "log", "-1", "--format=%(trailers:only)", branch).splitlines()
        if line
    )
    assert trailers["Councilor-Task"] == main_job.task_id
    assert trailers["CAWS-Verdict-Id"] == main_job.printed.data["verdict_id"]
    assert trailers["CAWS-Spec"] == main_job.shown["task"]["spec_id"]
    record = tmp_path / "record"
    main_job.councilor("verify", main_job.task_id, "--export", record).expect(0)
    statement = hashlib.sha256((record / "verdict-1-2.dsse.json").read_bytes()).hexdigest()
    assert trailers["Provenance-Statement"] == f"sha256:{statement}"


def test_the_library_works_again(main_job: MainJob, tmp_path: Path) -> None:
    git(main_job.repository, "clone", "-q", "-b", main_job.printed.data["branch"], ".", str(tmp_path / "clone"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts="]
    done = subprocess.run(command, cwd=tmp_path / "clone", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "96 passed, 1 skipped" in done.stdout


def test_the_working_copy_is_untouched(main_job: MainJob) -> None:
    after = state_of(main_job.repository)
    assert {path: after.get(path) for path in main_job.before} == main_job.before
    git_folder = f"{main_job.repository}/.git/"
    own = (f"{git_folder}objects", f"{git_folder}refs/heads/councilor", f"{git_folder}logs/refs/heads/councilor")
    assert [path for path in after.keys() - main_job.before.keys() if not path.startswith(own)] == []
