"""What tests of the command line share: the command, in this process or in one of its own, and what it may change.

In this process a command takes a tenth of a second instead of one, and every warning it causes fails the test.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from councilor.surfaces.cli.main import app

HAND = "hand"


@dataclass(frozen=True)
class Printed:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Standard output as the one JSON document that it must be."""
        return json.loads(self.out)

    def expect(self, code: int) -> Printed:
        assert self.code == code, f"exit code {self.code} instead of {code}\n{self.out}\n{self.err}"
        return self


DEEP = {"V3_EVIDENCE__STRENGTH_S__TIER_3": "20", "V3_EVIDENCE__DIFFERENTIAL_S__TIER_3": "0.8"}
"""Settings with which a run looks how strong the tests are, and for inputs on which others differ."""


@dataclass(frozen=True)
class CommandLine:
    """`councilor` with a data folder of its own."""

    data_dir: Path
    env: Mapping[str, str] = field(default_factory=dict)
    program: Sequence[str] = (sys.executable, "-m", "councilor")
    """What is started where a process of its own is wanted."""

    def __call__(
        self, *arguments: str | Path, stdin: bytes | None = None, env: Mapping[str, str] | None = None
    ) -> Printed:
        """Run a command in this process."""
        given = [str(argument) for argument in arguments]
        root = logging.getLogger()
        handlers = list(root.handlers)
        try:
            result = CliRunner().invoke(app, given, input=stdin, env=self._own | dict(env or {}))
        finally:  # a command sends this process's log to a stream that ends with it
            root.handlers[:] = handlers
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise AssertionError("".join(traceback.format_exception(result.exception)))
        return Printed(code=result.exit_code, out=result.stdout, err=result.stderr)

    def start(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """Start a command in a process of its own."""
        return subprocess.Popen(
            [*self.program, *map(str, arguments)],
            env=os.environ | self._own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def finish(self, *arguments: str | Path, timeout_s: float = 300.0) -> Printed:
        """Run a command in a process of its own, to its end."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=timeout_s)
            return Printed(code=process.returncode, out=out.decode(), err=err.decode())

    @property
    def runs(self) -> set[str]:
        """Folders of runs."""
        folder = self.data_dir / "runs"
        return {item.name for item in folder.iterdir()} if folder.exists() else set()

    @property
    def tasks(self) -> set[str]:
        """Ids of the newest tasks."""
        return {head["task_id"] for head in self("list", "--limit", "500", "--json").expect(0).data}

    @property
    def _own(self) -> dict[str, str]:
        quick = dict.fromkeys(DEEP, "0")  # most tests are about something else, and these take seconds
        return {"V3_DATA_DIR": str(self.data_dir), "COLUMNS": "200", **quick, **self.env}


def hand(folder: Path, script: str, **profile: Any) -> tuple[str, str]:
    """Options before a command's name that make `script` the worker, run by sh in the workspace."""
    worker = {"kind": "command", "command": ["sh", "-c", script], "timeout_s": 60.0} | profile
    config = folder / "workers.yaml"
    config.write_text(yaml.safe_dump({"run": {"worker": HAND}, "workers": {HAND: worker}}))
    return "--config", str(config)


def state_of(repository: Path) -> dict[str, str]:
    """Every file of a repository, git's own (refs, objects, index) among them."""
    found: dict[str, str] = {}
    for path in sorted(repository.rglob("*")):
        if path.is_symlink():
            found[str(path)] = f"link to {path.readlink()}"
        elif path.is_file():
            found[str(path)] = f"{path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        else:
            found[str(path)] = "folder"
    return found
