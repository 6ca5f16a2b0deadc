"""A server of trials inside the sandbox: given changed files and tests, it says how the tests end, in milliseconds.

Two states of one interpreter are kept: this process has loaded pytest and its plugins (*warm*), and a child of it has
also collected the suite (*hot*). A trial is a fork of one of them.

Rules:
- Hot: the change replaces functions' code only (`swap.py`). Else warm: a fresh import of everything of the repository.
- A trial's files are in the folder while it runs, for processes that it starts, and are taken out after it (`tree.py`).
- One trial at a time. Without a hot child (no fork, a failing or endless collection, threads) all trials are warm; if
  loading the plugins has already loaded code of the repository, none is, and the trial is `cold`: the caller's affair.
- The interpreter is set up as for every other run (`sandboxed/runner.py`).

It decides nothing about a change. Mounted read-only; Python 3.9 and later, pytest 7 and later.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from types import CodeType
from typing import Any

HERE = sys.path[0]
SHARED = str(Path(HERE).parent / "sandboxed")
OURS = ("collected", "interpreter", "line", "plugins", "recorder", "relay", "swap", "tracer", "trial", "tree", "watch")

__all__ = ["main"]


def main() -> None:
    """Serve until the caller hangs up."""
    channel = int(os.environ["COUNCILOR_CHANNEL"])
    sys.path.insert(0, SHARED)
    from line import open_line  # type: ignore[import-not-found]  # it stands in `sandboxed`

    line = open_line()
    sys.path[:] = [path for path in sys.path if path not in (HERE, SHARED)]
    sys.path.append(line.start["tools"])
    Server(line, channel).serve()


class Server:
    """Holds the warm state, and the line to the hot one."""

    def __init__(self, line: Any, channel: int) -> None:
        start = line.start
        self._line, self._channel, self._start = line, channel, start
        self._folder: str = start["folder"]
        scratch = tempfile.mkdtemp(prefix="run-")
        self._parts = _parts()
        import pytest

        self._pytest = pytest
        self._arguments = [
            *("-o", f"cache_dir={scratch}/cache", "-W", "ignore:Module already imported"),
            *start["arguments"],
            *("-o", "faulthandler_timeout=0"),
        ]
        self._parts.interpreter.ignore_bytecode(self._folder, f"{scratch}/bytecode")
        os.chdir(self._folder)
        self._roots = [path for path in start["roots"] if os.path.isdir(path)]  # noqa: PTH112  # as in runner.py
        self._parts.plugins.load_plugins(self._folder)
        self._spoilt = self._parts.plugins.loads_any(self._folder)
        self._old: dict[str, CodeType] = {}
        self._hot: Any = None
        self._files: dict[str, bytes] = {}
        self._mode = "cold"

    def serve(self) -> None:
        """Collect, then answer orders; does not return."""
        self._parts.watch.adopt()
        ready = self._collect()
        self._tree = self._parts.tree.Tree(self._folder)
        self._line.send(ready)
        while True:
            order = self._line.receive()
            if "go" in order:
                self._try(order)
            else:
                self._line.send(self._weigh(order))

    def _collect(self) -> dict[str, Any]:
        """Fork the hot child and wait until it has collected."""
        ours, theirs = socket.socketpair()
        pid = self._parts.watch.fork()
        if pid == 0:
            self._be_hot(ours, theirs)
        theirs.close()
        hot = self._parts.relay.Hot(pid, ours)
        answer = hot.answer(time.monotonic() + self._start["collect_s"], lambda line: None)
        if answer is None or "ready" not in answer or answer["threads"] > 1:
            hot.end()
            self._parts.watch.end_strays(set())
            return {"ready": 0, "hot": False, "why": _why(answer)}
        self._hot = hot
        return {"ready": answer["ready"], "nodeids": answer["nodeids"], "hot": True, "why": ""}

    def _be_hot(self, ours: socket.socket, theirs: socket.socket) -> None:
        """The life of the hot child."""
        leave = os._exit
        try:
            os.close(self._channel)
            ours.close()
            for prepare in (self._parts.watch.die_with_parent, self._parts.watch.adopt):
                prepare()
            sys.path[:0] = self._roots
            talk = self._parts.relay.Talk(theirs)
            plugin = self._parts.collected.Collected(
                own_arguments=len(self._arguments) + len(self._start["paths"]), folder=self._folder,
                receive=talk.receive, send=talk.send, forward=talk.forward, hang_up=talk.close, weighed=self._weighed,
            )  # fmt: skip
            status = self._pytest.main([*self._arguments, *self._start["paths"]], plugins=[plugin])
            talk.send({"why": f"pytest ended with status {int(status)} before any test"})
        finally:
            leave(1)

    def _weigh(self, order: dict[str, Any]) -> dict[str, Any]:
        """Which mode a change needs, and its key."""
        self._files = _decoded(order)
        if self._hot is not None:
            self._hot.send(order)
            answer = self._hot.answer(time.monotonic() + self._start["collect_s"], lambda line: None)
            if answer is None:
                self._end_hot()
        else:
            answer = None
        answer = answer or self._weigh_warm(order)
        if answer["mode"] == "warm" and self._spoilt:
            answer["mode"] = "cold"
        self._mode = answer["mode"]
        return answer

    def _weigh_warm(self, order: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"mode": "warm", "key": self._weighed(order).key, "why": "the suite is not loaded"}
        except self._parts.collected.INVALID as error:
            return {"mode": "invalid", "key": "", "why": f"{type(error).__name__}: {error}"[:500]}
        except OSError as error:
            return {"mode": "cold", "key": "", "why": str(error)[:500]}

    def _weighed(self, order: dict[str, Any]) -> Any:
        files = _decoded(order)
        for path in files:
            if path not in self._old:
                full = f"{self._folder}/{path}"
                self._old[path] = self._parts.swap.compiled(Path(full).read_bytes(), full)
        return self._parts.collected.Weighed(self._folder, self._old, files)

    def _try(self, order: dict[str, Any]) -> None:
        """Run the tests of an order with the files of the last change."""
        order["temporary"] = tempfile.mkdtemp(prefix="trial-")
        try:
            self._tree.put(self._files)
            end = self._try_hot(order) if self._mode == "hot" and self._hot is not None else self._try_warm(order)
        finally:
            whole = self._tree.restore()
            shutil.rmtree(order["temporary"], ignore_errors=True)
        self._line.send({"end": end, "whole": whole})

    def _try_hot(self, order: dict[str, Any]) -> str:
        self._hot.send(order)
        until_s = time.monotonic() + order["total_s"] + self._start["collect_s"]
        answer = self._hot.answer(until_s, lambda line: self._line.send(json.loads(line)))
        if answer is None:
            self._end_hot()
            return "lost"
        return str(answer.get("end"))

    def _try_warm(self, order: dict[str, Any]) -> str:
        watch, mine = self._parts.watch, {self._hot.pid} if self._hot else set()
        tests = self._parts.trial.tests_of(order)
        paths = dict.fromkeys(nodeid.partition("::")[0] for nodeid in tests.nodeids)
        arguments = [*self._arguments, *(f"{self._folder}/{path}" for path in paths)]

        def work(send: Any) -> None:
            os.close(self._channel)
            if self._hot:
                self._hot.close()
            self._parts.trial.own_temporary_folder(order["temporary"])
            self._parts.trial.own_output(None)
            sys.path[:0] = self._roots
            plugin = self._parts.trial.Trial(
                own_arguments=len(arguments), folder=self._folder, tests=tests, send=send
            )  # fmt: skip
            self._pytest.main(arguments, plugins=[plugin])

        try:
            return str(watch.attempt(work, watch.limits_of(order), lambda line: self._line.send(json.loads(line))))
        finally:
            watch.end_strays(mine)

    def _end_hot(self) -> None:
        if self._hot is not None:
            self._hot.end()
            self._parts.watch.end_strays(set())
            self._hot = None


class Parts:
    """The other modules of this program, which are not in `sys.modules` where the repository's may have their names."""

    def __init__(self, modules: dict[str, Any]) -> None:
        self.__dict__.update(modules)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def _parts() -> Any:
    sys.path[:0] = [HERE, SHARED]
    parts = Parts({name: importlib.import_module(name) for name in OURS})
    del sys.path[:2]
    for name in OURS:
        sys.modules.pop(name, None)
    return parts


def _decoded(order: dict[str, Any]) -> dict[str, bytes]:
    return {path: base64.b64decode(content) for path, content in order["weigh"].items()}


def _why(answer: dict[str, Any] | None) -> str:
    if answer is None:
        return "the tests could not be collected, or not in time"
    if answer.get("threads", 1) > 1:
        return "importing the code starts threads"
    return str(answer.get("why", ""))[:500]


if __name__ == "__main__":
    main()
