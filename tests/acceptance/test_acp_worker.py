"""A whole task on a real library with an agent as the worker: it speaks the Agent Client Protocol, on the official SDK.

`pytest -s tests/acceptance/test_acp_worker.py` shows what it took. The agent is a script; no real one is run here.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from commandline import CommandLine
from journey import git
from libraries import LIBRARIES, make_repository
from library import IndexUnreachableError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
LIBRARY = next(library for library in LIBRARIES if library.name == "humanize")
SUPPORT = Path(__file__).parents[1] / "support"


def options(folder: Path, new: str) -> tuple[str, str]:
    seen = dict.fromkeys([sys.prefix, str(Path(sys.prefix).resolve()), sys.base_prefix, str(SUPPORT)])
    command = [sys.executable, str(SUPPORT / "acpagent.py"), "repair", LIBRARY.path, LIBRARY.bug, new]
    worker = {"kind": "acp", "command": command, "folders": list(seen), "timeout_s": 120.0}
    config = folder / "agent.yaml"
    config.write_text(yaml.safe_dump({"run": {"worker": "agent"}, "workers": {"agent": worker}}))
    return "--config", str(config)


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_an_agent_repairs_a_real_library_and_a_wrong_repair_is_refused(
    right: bool, workplace: tuple[CommandLine, Path], service_missing: Callable[[str], None]
) -> None:
    councilor, folder = workplace
    try:
        repository = make_repository(LIBRARY, folder / LIBRARY.name)
    except IndexUnreachableError as error:
        service_missing(str(error))
    tests = [part for nodeid in LIBRARY.tests for part in ("--test", nodeid)]
    began = time.monotonic()
    printed = councilor.finish(
        *options(folder, LIBRARY.right if right else LIBRARY.wrong),
        *("run", f"Repair {LIBRARY.path}", "-C", repository, *tests, "--iterations", "1", "--json"),
        timeout_s=500,
    )
    print(f"\n{LIBRARY.requirement}: {printed.data['decision']} after {time.monotonic() - began:.0f} s")
    if right:
        printed.expect(0)
        assert (printed.data["state"], printed.data["decision"]) == ("completed", "accept")
        assert git(repository, "diff", "--name-only", "main", printed.data["branch"]) == LIBRARY.path
    else:
        assert printed.code in {1, 3}, printed.out + printed.err
        assert printed.data["decision"] != "accept"
        assert printed.data["tree"], "the wrong patch was never looked at"
