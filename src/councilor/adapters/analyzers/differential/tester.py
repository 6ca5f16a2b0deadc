"""Looks for inputs that tell versions apart, in one sandboxed job.

Rules:
- The repository's own interpreter runs it, set up as for its tests. Hypothesis comes from councilor's own installation,
  mounted read-only; where that interpreter cannot import it, inputs are neighbours of recorded calls only.
- One order goes in, findings come out over the job's own channel. Nothing that comes is believed to be well-formed
  (`findings.py`), and nothing that it says can accept anything: an input that is shown is run again as a test.
- Its time limit is the job's.

It does not choose alternatives and asks no question. Source: MacIver et al. 2019 (Hypothesis); McKeeman 1998
(differential testing).
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from councilor.adapters.analyzers.differential.findings import Findings
from councilor.adapters.analyzers.pytest.conductor import VARIABLES
from councilor.adapters.analyzers.pytest.selection import arguments, roots
from councilor.domain.difference import BASE, DifferentialRun
from councilor.ports.analyzer import TestRequest
from councilor.ports.clock import Clock
from councilor.ports.differential import DifferentialRequest
from councilor.ports.sandbox import Channel, Job, Limits, Mount, Sandbox

__all__ = ["SandboxedTester"]

HERE = Path(__file__).resolve().parent
SHARED = HERE.parent / "pytest" / "sandboxed"
TEST_S = 10.0
PARTS = ("hypothesis", "sortedcontainers", "_hypothesis_globals", "_hypothesis_ftz_detector")


class SandboxedTester:
    """Compares versions of a candidate's code.

    Args:
        memory_bytes, processes: limits of one job.
    """

    name = "differential"

    def __init__(self, *, sandbox: Sandbox, clock: Clock, memory_bytes: int = 4 * 2**30, processes: int = 256) -> None:
        self._sandbox = sandbox
        self._clock = clock
        self._memory_bytes = memory_bytes
        self._processes = processes
        self.describer = (HERE / "sandboxed" / "describing.py").read_text(encoding="utf-8")

    async def compare(self, request: DifferentialRequest) -> DifferentialRun:
        """Look for inputs; see the port."""
        started = self._clock.monotonic()
        order = await asyncio.to_thread(_order, request)
        findings = Findings(request)

        async def talk(channel: Channel) -> None:
            await channel.send(order)
            while (line := await channel.receive()) is not None:
                findings.take(line)

        result = await self._sandbox.run(self._job(request), talk=talk)
        run = findings.run()
        if result.timed_out:
            run = replace(run, error=run.error and "it did not end in time")
        duration_s = self._clock.monotonic() - started
        return replace(run, exit_code=result.exit_code, log=result.output[-(2**16) :], duration_s=duration_s)

    def _job(self, request: DifferentialRequest) -> Job:
        environment = request.environment
        own = (Mount(path=HERE / "sandboxed"), Mount(path=SHARED), *(Mount(path=path) for path in _hypothesis()))
        return Job(
            argv=(str(environment.python), "-s", "-B", str(HERE / "sandboxed" / "program.py")),
            cwd=request.folder,
            mounts=(*environment.mounts, *own, Mount(path=request.folder, writable=True)),
            limits=Limits(wall_s=request.timeout_s, memory_bytes=self._memory_bytes, processes=self._processes),
            env={**VARIABLES, "COUNCILOR_SHARED": str(SHARED)},
        )


def _hypothesis() -> list[Path]:
    """Where councilor's own Hypothesis stands, file by file."""
    found = []
    for name in PARTS:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            found.append(origin.parent if spec.submodule_search_locations else origin)
    return found


def _order(request: DifferentialRequest) -> str:
    test = TestRequest(
        folder=request.folder,
        environment=request.environment,
        timeout_s=request.timeout_s,
        test_timeout_s=TEST_S,
        nodeids=tuple(request.nodeids) or None,
    )
    versions = {BASE: request.base, **request.alternatives}
    return json.dumps(
        {
            "key": "00" * 16,  # seals are for evidence that can accept
            "folder": str(request.folder),
            "tools": str(request.environment.tools),
            "hypothesis": next((str(path.parent) for path in _hypothesis()), ""),
            "roots": roots(request.folder),
            "arguments": arguments(test),
            "targets": {path: list(names) for path, names in request.targets.items()},
            "nodeids": list(request.nodeids),
            "versions": {name: _content(version.files) for name, version in versions.items()},
            "weights": {name: version.weight for name, version in versions.items()},
            "budget_s": request.budget_s,
        }
    )


def _content(files: Mapping[str, bytes | None]) -> dict[str, Any]:
    return {path: None if text is None else base64.b64encode(text).decode() for path, text in files.items()}
