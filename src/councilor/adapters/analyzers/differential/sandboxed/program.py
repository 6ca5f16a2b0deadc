"""What runs inside the sandbox: finds inputs on which the candidate and other versions of its files differ.

Steps:
1. A child runs the named tests on the candidate and writes down the calls that reach the changed functions.
2. More inputs are made of them: Hypothesis's, and neighbours of those that reach new lines of the candidate.
3. Each version is loaded in a process of its own. An input is run on those whose difference the candidate executes.
4. Of the inputs that tell most apart, the easiest to read are taken, shrunk, and confirmed: run alone, twice, with
   another random seed. What the candidate itself does not always answer alike is dropped.

Rules:
- This process imports nothing of the repository. Files of a version are in the folder only while it is loaded.
- Every step has its share of the time; what there was no time for is left out, and counted.

It judges nothing. Mounted read-only; Python 3.9 and later, pytest 7 and later.
"""

from __future__ import annotations

import base64
import importlib
import os
import sys
import tempfile
import time
from contextlib import suppress
from types import CodeType
from typing import Any

HERE = sys.path[0]
OURS = (
    "describing", "exploring", "expressing", "generating", "instrumenting", "mutating", "places", "recording",
    "scenario", "selecting", "shrinking", "versions", "watching",
)  # fmt: skip
PYTEST_S = 4.0
"""Seconds beyond their share that starting pytest may take."""
RECORD_SHARE, GENERATE_SHARE, EXPLORE_SHARE, SCREEN_SHARE = 0.2, 0.08, 0.5, 0.8
SEEDS = 240
SAMPLE_S, PATIENCE = 0.03, 2.0
"""On a busy machine the time is stretched, up to so many times."""


def main() -> None:
    """Hold the conversation: one order, then what was found."""
    sys.path.insert(0, os.environ.pop("COUNCILOR_SHARED"))
    from interpreter import ignore_bytecode  # type: ignore[import-not-found]  # it stands with the test runner's
    from line import open_line  # type: ignore[import-not-found]  # the same

    line = open_line()
    start = line.start
    sys.path.pop(0)
    parts = {name: importlib.import_module(name) for name in OURS if name not in ("recording", "watching")}
    for name in (*OURS, "interpreter", "line"):  # the repository may have modules of these names
        sys.modules.pop(name, None)
    ignore_bytecode(start["folder"], f"{tempfile.mkdtemp(prefix='run-')}/bytecode")
    sys.path.remove(HERE)
    os.chdir(start["folder"])
    Program(line, start, parts).go()


class Program:
    """One order."""

    def __init__(self, line: Any, start: dict[str, Any], parts: dict[str, Any]) -> None:
        self._line, self._start, self._parts = line, start, parts
        self._folder = start["folder"]
        self._began_s = time.monotonic()
        self._budget_s = float(start["budget_s"])
        self._files = {
            name: {path: None if text is None else base64.b64decode(text) for path, text in files.items()}
            for name, files in start["versions"].items()
        }
        self._roots = [path for path in start["roots"] if os.path.isdir(path)]  # noqa: PTH112  # as in runner.py
        self._modules: list[str] = []

    def go(self) -> None:
        """Do all of it and say what was found."""
        seen, made, optional = self._record()
        recorded = len(seen)
        self._modules = sorted({each.place.partition(":")[0] for each in (*seen, *made)})
        selecting = self._parts["selecting"]
        targets = {f"{self._folder}/{path}": names for path, names in self._start["targets"].items()}
        explored = self._version({}, targets)
        if not explored.loaded:
            self._line.send({"end": "the candidate cannot be imported outside its tests"})
            return
        places = {name: self._differing(files) for name, files in self._files.items()}
        inputs = self._inputs(explored, seen, made, optional, places)
        explored.end()
        candidate = self._version({})
        others = {name: self._version(files) for name, files in self._files.items()}
        comparison = selecting.Comparison(candidate, others, self._start["weights"], self._until_s(1.0))
        comparison.screen(inputs, places, self._until_s(SCREEN_SHARE))
        for message in comparison.findings():
            self._line.send(message)
        for each in (candidate, *others.values()):
            each.end()
        self._line.send({"end": "", "recorded": recorded, **comparison.counts()})

    def _differing(self, files: dict[str, Any]) -> frozenset[int] | None:
        """Lines in which a version differs from the candidate; None where every input has to be run."""
        found: frozenset[int] = frozenset()
        for path, content in files.items():
            lines = self._parts["places"].differing_lines(_read(f"{self._folder}/{path}"), content)
            if lines is None:
                return None
            found |= lines
        return found

    def _until_s(self, share: float) -> float:
        return self._began_s + share * self._budget_s

    def _record(self) -> tuple[list[Any], list[Any], dict[str, dict[str, str]]]:
        versions, scenario = self._parts["versions"], self._parts["scenario"]
        record_s, generate_s = RECORD_SHARE * self._budget_s, GENERATE_SHARE * self._budget_s
        pid, pipe = versions.fork_into(lambda out: self._run_tests(out, record_s, generate_s))
        seen, made, optional = [], [], {}
        until_s = time.monotonic() + record_s + generate_s + PYTEST_S
        while (message := pipe.receive(until_s)) is not None:
            seen += [scenario.Scenario(*map(_frozen, each)) for each in message.get("seen", ())]
            made += [scenario.Scenario(*map(_frozen, each)) for each in message.get("generated", ())]
            optional.update(message.get("optional", {}))
        pipe.close()
        versions.end(pid)
        self._budget_s *= _slowness()
        self._began_s = max(self._began_s, time.monotonic() - record_s - generate_s)
        return seen, made, optional

    def _run_tests(self, pipe: Any, record_s: float, generate_s: float) -> None:
        self._parts["versions"].silence()
        start = self._start
        sys.path.append(start["tools"])
        sys.path.insert(0, HERE)
        import pytest

        recording, watching = importlib.import_module("recording"), importlib.import_module("watching")
        sys.path.remove(HERE)
        for name in OURS:
            sys.modules.pop(name, None)
        with suppress(ImportError):
            import _pytest.assertion.rewrite  # noqa: F401  # loaded before the clock starts
        sys.path[:0] = self._roots
        targets = {f"{self._folder}/{path}": names for path, names in start["targets"].items()}
        watch = watching.Watch(targets)
        plugin = recording.Recording(
            watch=watch, pipe=pipe, nodeids=start["nodeids"], until_s=time.monotonic() + record_s
        )
        scratch = tempfile.mkdtemp(prefix="run-")
        pytest.main(["-o", f"cache_dir={scratch}/cache", *start["arguments"]], plugins=[plugin])
        sys.meta_path.append(_Apart(start["hypothesis"]))
        recording.conclude(watch, pipe, targets, generate_s=generate_s)

    def _version(self, files: dict[str, Any], focus: dict[str, list[str]] | None = None) -> Any:
        """A version, loaded while its files are in the folder."""
        kept: dict[str, bytes | None] = {}
        for path, content in files.items():
            kept[path] = _read(f"{self._folder}/{path}")
            _write(f"{self._folder}/{path}", content)
        try:
            return self._parts["versions"].Version(self._load, time.monotonic() + PYTEST_S, focus)
        finally:
            for path, content in kept.items():
                _write(f"{self._folder}/{path}", content)

    def _load(self) -> None:
        sys.path[:0] = self._roots
        importlib.invalidate_caches()
        for name in self._modules:
            importlib.import_module(name)

    def _inputs(
        self,
        candidate: Any,
        seen: list[Any],
        made: list[Any],
        optional: dict[str, dict[str, str]],
        places: dict[str, frozenset[int] | None],
    ) -> list[Any]:
        mutating = self._parts["mutating"]
        mutator = mutating.Mutator(mutating.constants_of(self._codes()), mutating.pool_of(seen), optional)
        telling = frozenset(line for lines in places.values() for line in lines or ())
        explorer = self._parts["exploring"].Explorer(candidate, mutator, telling)
        explorer.explore([*self._lifted(candidate, seen[:SEEDS]), *made], self._until_s(EXPLORE_SHARE))
        return list(explorer.ordered)

    def _lifted(self, candidate: Any, seeds: list[Any]) -> list[Any]:
        lifted = self._parts["scenario"].lifted
        changed = candidate.changed(seeds, self._until_s(0.5))
        more = [
            lifted(seed, position)
            for seed, positions in zip(seeds, changed)  # noqa: B905  # Python 3.9
            for position in positions
        ]
        return [*seeds, *more]

    def _codes(self) -> list[CodeType]:
        """The code of the targets in all versions."""
        found: list[CodeType] = []
        for files in ({}, *self._files.values()):
            for path, names in self._start["targets"].items():
                content = files.get(path) if path in files else _read(f"{self._folder}/{path}")
                if content is not None:
                    found += _target_codes(content, path, names)
        return found


def _target_codes(content: bytes, path: str, names: list[str]) -> list[CodeType]:
    try:
        code = compile(content, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    wanted = {name.rpartition(".")[2] for name in names}
    waiting, found = [code], []
    while waiting:
        each = waiting.pop()
        inner = [const for const in each.co_consts if isinstance(const, CodeType)]
        waiting += inner
        if "" in wanted or each.co_name in wanted:
            found += [each, *inner]
    return found


class _Apart:
    """Finds Hypothesis where councilor has it, and nothing else there.

    Args:
        folder: the folder that it stands in.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The module, if it is Hypothesis's."""
        from importlib.machinery import PathFinder

        if path is None and name in (
            "hypothesis",
            "sortedcontainers",
            "_hypothesis_globals",
            "_hypothesis_ftz_detector",
        ):
            return PathFinder.find_spec(name, [self._folder])
        return None


def _slowness() -> float:
    """How many times as long as it computes a process takes here and now, at most `PATIENCE`."""
    began_s, cpu_s = time.monotonic(), time.process_time()
    while time.process_time() - cpu_s < SAMPLE_S and time.monotonic() - began_s < PATIENCE * SAMPLE_S:
        pass
    return min(PATIENCE, max(1.0, (time.monotonic() - began_s) / SAMPLE_S))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _read(path: str) -> bytes | None:
    with suppress(OSError), open(path, "rb") as file:  # noqa: PTH123
        return file.read()
    return None


def _write(path: str, content: bytes | None) -> None:
    if content is None:
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108  # beside the others of its kind
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120  # the same
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(content)


if __name__ == "__main__":
    main()
