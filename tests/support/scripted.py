"""A model that follows a script and reads what it is told: it repairs one known bug as a careful one would."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from toolserver import Brain, Call, Say


def repairing(path: str, old: str, new: str, tests: Sequence[str]) -> Brain:
    """Look, see the tests fail, change, see them pass, report; gives up where the tests say otherwise.

    Args:
        tests: node ids that fail before and pass after.
    """
    run = Call("run", {"command": f"pytest -q {shlex.join(tests)}"})
    first = next(line for line in old.split("\n") if line.strip()).strip()

    def brain(request: Mapping[str, Any]) -> Say:
        told = [item["content"] for item in request["messages"] if item["role"] == "tool"]
        steps = [
            Say("I look where it is.", [Call("search", {"text": first, "path": path})]),
            Say("", [Call("read_file", {"path": path, "start_line": line_of(told), "lines": 20})]),
            Say("I see the tests fail first.", [run]),
            Say("", [Call("edit_file", {"action": "replace", "path": path, "old": old, "new": new})]),
            Say("Now they must pass.", [run]),
        ]
        if len(told) < len(steps):
            return steps[len(told)]
        good = "exit code 1" in told[2] and "replaced 1 place(s)" in told[3] and "exit code 0" in told[4]
        report = f"Changed `{path}` so that the failing tests pass." if good else "\n\n".join(told[2:])
        return Say(calls=[Call("finish", {"report": report, "done": good})])

    def line_of(told: Sequence[str]) -> int:
        """The line that the search found, and some before it."""
        if not told:
            return 1
        found = told[0].split("\n")[1].split(":")
        return max(int(found[1]) - 5, 1)

    return brain
