"""Does one case through the real command line, and collects what can be seen from outside."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from journey import git, make_repository

from hostility.case import Case, Place, Seen
from hostility.host import LIMITS, Host, snapshot
from hostility.truth import is_right

__all__ = ["do_case"]

TIMEOUT_S = 240.0
REAPER = Path(__file__).with_name("reaper.py")
PUBLISHED = re.compile(r"/shop/(\.git/)?(objects|refs/heads/councilor|logs/refs/heads/councilor|refs/heads$|logs)")
"""What a run may write into a repository: objects, and its branch."""
OF_GIT = ("/.git/index", "/.git/COMMIT_EDITMSG", "/.git/ORIG_HEAD")
"""What the bench's own git commands change while a run goes on."""
HOSTILE_TEST = """
import pytest
from acts import perform


def test_hostile():
    raise AssertionError(perform({act!r}))
"""


def do_case(case: Case, number: int, host: Host, *, sandbox: str) -> Seen:
    """Do it; blocks until nothing of it runs any more."""
    place = _lay_out(case, number, host)
    case.prepare(place)
    undone = False
    try:
        repository, outside = snapshot(place.repository), host.state()
        seen = _run(case, place, host, sandbox)
        case.undo(place)
        undone = True
        seen.folders += tuple(f"mount: {line}" for line in _mounts(place.folder))
        seen.outside = _changed(outside, host.state(), ignored=str(host.root / "cases"))
        changed = _changed(repository, snapshot(place.repository))
        ours = OF_GIT if case.meanwhile else ()
        published = PUBLISHED if seen.code == 0 else re.compile("(?!)")
        seen.repository = tuple(each for each in changed if not (published.search(each) or each.endswith(ours)))
    finally:
        if not undone:
            case.undo(place)
    seen.marks = tuple(str(path) for path in host.outside.glob(f"mark-{place.name}*"))
    seen.arrived = tuple(repr(said) for said in host.arrived if place.name.encode() in said)
    if seen.commit:
        seen.right = not case.wrong and is_right(place.repository, seen.commit)
    return seen


def _lay_out(case: Case, number: int, host: Host) -> Place:
    folder = host.root / "cases" / f"{number:03}"
    place = Place(
        folder=folder,
        repository=folder / "shop",
        given=folder / "given",
        tmp=folder / "tmp",
        data=host.data,
        home=host.home,
        name=f"case{number:03}x{host.token}",
    )
    place.given.mkdir(parents=True)
    place.tmp.mkdir(mode=0o700)
    place.repository.mkdir()
    files = {"pytest.ini": "[pytest]\npythonpath = . tests\n"}
    if case.role == "test" and case.act:
        host.give_acts(place, place.repository / "tests")
        files["tests/test_hostile.py"] = HOSTILE_TEST.format(act=case.act)
    elif case.act:
        host.give_acts(place, place.given)
    for path, data in case.files.items():
        (place.repository / path).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, bytes):
            (place.repository / path).write_bytes(data)
        else:
            files[path] = data
    make_repository(place.repository, files)
    _hide(place, host)
    (folder / "settings.yaml").write_text(yaml.safe_dump(_settings(case, place)))
    return place


def _hide(place: Place, host: Host) -> None:
    """What a worker must not get: another branch, with the tests that decide."""
    git(place.repository, "checkout", "-q", "-b", "review")
    (place.repository / "tests/test_hidden.py").write_text(f"# {host.hidden}\n")
    git(place.repository, "add", "-A")
    git(place.repository, "commit", "-q", "-m", "Hidden tests")
    git(place.repository, "checkout", "-q", "main")


def _settings(case: Case, place: Place) -> dict[str, Any]:
    act = f"PYTHONPATH={place.given} python3 -B -m acts {case.act}; " if case.act and case.role == "worker" else ""
    worker = {
        "kind": "command",
        "command": ["sh", "-c", act + case.script.replace("{given}", str(place.given))],
        "timeout_s": 60.0,
        "folders": [str(place.given)],
    }
    return {
        "run": {"worker": "hostile", "max_iterations": 1, "deadline_s": 200.0},
        "workers": {"hostile": worker},
        "sandbox": dict(LIMITS),
        "evidence": {"test_timeout_s": 5.0, "canaries": 2, "flaky_reruns": 0, "timeout_s": {"tier_3": 60.0}},
    }


def _command(case: Case, place: Place, sandbox: str) -> list[str]:
    program = [sys.executable, *(("-c", *case.launcher) if case.launcher else ("-m", "councilor"))]
    flags = [part for item in (f"sandbox.kind={sandbox}", *case.settings) for part in ("--set", item)]
    head = [*program, "--config", str(place.folder / "settings.yaml"), *flags]
    if case.command:
        return [*head, *(word.format(repository=place.repository, folder=place.folder) for word in case.command)]
    test = ["--test", case.test] if case.test else []
    shown = [] if case.terminal else ["--json"]
    return [*head, "run", "Repair the total", "-C", str(place.repository), *test, *shown, *case.options]


def _run(case: Case, place: Place, host: Host, sandbox: str) -> Seen:
    env = host.env | {"TMPDIR": str(place.tmp), "V3_LOG__LEVEL": "warning"}
    for name, value in case.env.items():
        env.pop(name, None)
        if value is not None:
            env[name] = value.format(folder=place.folder, data=place.data)
    report = place.folder / "report.json"
    argv = [sys.executable, "-I", "-S", str(REAPER), str(report), str(TIMEOUT_S), str(case.uid), "--"]
    argv += _command(case, place, sandbox)
    cage = set(_cages())
    meanwhile = threading.Thread(target=_meanwhile, args=(case.meanwhile, place), daemon=True)
    if case.meanwhile:
        meanwhile.start()
    out, err = _terminal(argv, env, place) if case.terminal else _pipes(argv, env, place)
    if case.meanwhile:
        meanwhile.join(TIMEOUT_S)
    found = json.loads(report.read_text())
    code = found["code"]
    seen = Seen(code=code, out=out, err=err, seconds=found["seconds"], timed_out=found["timed_out"])
    seen.processes = tuple(f"process: {line}" for line in found["left"])
    seen.folders = (
        *(f"temporary: {path.relative_to(place.tmp)}" for path in place.tmp.rglob("*")),
        *(f"control group: {path}" for path in set(_cages()) - cage if f"-{found['pid']}-" in path),
    )
    seen.told = (out + b"\n" + err).decode(errors="replace")
    with contextlib.suppress(ValueError, AttributeError):
        seen.commit = json.loads(out).get("commit")
    if case.terminal and (found_commit := re.search(r"committed ([0-9a-f]{12})", seen.told)):
        seen.commit = git(place.repository, "rev-parse", found_commit[1])
    return seen


def _pipes(argv: list[str], env: dict[str, str], place: Place) -> tuple[bytes, bytes]:
    done = subprocess.run(argv, env=env, cwd=place.folder, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.stdout, done.stderr


def _terminal(argv: list[str], env: dict[str, str], place: Place) -> tuple[bytes, bytes]:
    """Everything that a terminal is sent."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        argv,
        env=env | {"TERM": "xterm-256color"},
        cwd=place.folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = bytearray()
    with contextlib.suppress(OSError):  # the other end is closed
        while piece := os.read(ours, 65536):
            shown += piece
    process.wait()
    os.close(ours)
    return bytes(shown), b""


def _meanwhile(act: Callable[[Place], None], place: Place) -> None:
    """Once the worker has begun; it says so by a file in its workspace."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if any(place.data.glob(f"runs/*/workspace/begun-{place.folder.name}")):
            return act(place)
        if (place.folder / "report.json").exists():
            return None
        time.sleep(0.05)
    return None


def _changed(before: dict[str, str], after: dict[str, str], *, ignored: str = "\0") -> tuple[str, ...]:
    paths = before.keys() | after.keys()
    return tuple(sorted(path for path in paths if before.get(path) != after.get(path) and not path.startswith(ignored)))


def _cages() -> Iterator[str]:
    return (str(path) for path in Path("/sys/fs/cgroup").glob("**/councilor-*"))


def _mounts(folder: Path) -> Iterator[str]:
    return (line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(folder) in line)
