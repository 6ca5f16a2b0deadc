"""What is in deploy/ fits the program: the unit file and the container file; nobody has run the latter here."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path

from typer.main import get_command

from councilor.settings import load_settings
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "deploy/councilor-worker@.service"
CONTAINER = ROOT / "deploy/Containerfile"


def service() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names of systemd have capitals
    parser.read(UNIT)
    return parser["Service"]


def test_the_unit_starts_a_worker_process() -> None:
    program, *arguments = shlex.split(service()["ExecStart"])
    assert program.endswith("/councilor")
    assert arguments[-1] == "worker" and arguments[-1] in get_command(app).commands  # type: ignore[attr-defined]  # a group
    assert "--config" in {name for option in get_command(app).params for name in option.opts}


def test_stopping_waits_longer_than_draining() -> None:
    assert float(service()["TimeoutStopSec"]) > 2 * load_settings().engine.drain_s
    assert service()["KillSignal"] == "SIGTERM"


def test_wrong_settings_are_not_tried_again() -> None:
    assert int(service()["RestartPreventExitStatus"]) == ExitCode.BAD_INPUT


def test_the_container_file_copies_what_is_there_and_says_that_it_was_never_built() -> None:
    text = CONTAINER.read_text()
    assert "NOT BUILT" in text
    for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists(), source
    assert re.search(r'^CMD \["worker"\]$', text, re.MULTILINE)
