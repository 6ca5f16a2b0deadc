"""What runs inside the sandbox: sets the interpreter up, then lets pytest collect and run what the conductor asks for.

Rules, in this order:
1. The channel is taken and its key received before anything but the standard library is imported.
2. `sys.path` is the interpreter's and the environment's; councilor's tools come last; the runner's folder leaves it.
3. pytest is imported before the repository's folder enters `sys.path`, so that the folder cannot replace it.
4. Bytecode of the repository is neither read nor written: committed `.pyc` files do nothing.
5. The process ends by `os._exit` with the code that the conductor gave out with its last order.

It decides nothing. Copied nowhere, mounted read-only; Python 3.9 and later, pytest 7 and later.
"""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any

from line import open_line  # type: ignore[import-not-found]  # it stands beside this file

__all__ = ["main"]

STOPPED_EARLY = 71
HERE = sys.path[0]


def main() -> None:
    """Hold the conversation from the first order to the last."""
    leave, flush = os._exit, (sys.stdout.flush, sys.stderr.flush)
    line = open_line()
    start = line.start
    sys.path.remove(HERE)
    sys.path.append(start["tools"])
    recorder, run = _prepare(line, start)
    status = int(run())
    last = recorder.last
    line.send({"status": status, "nonce": last["nonce"] if last else ""})
    for each in flush:
        each()
    leave(last["code"] if last else STOPPED_EARLY)


def _prepare(line: Any, start: dict[str, Any]) -> tuple[Any, Any]:
    sys.path.insert(0, HERE)
    import pytest
    from interpreter import ignore_bytecode  # type: ignore[import-not-found]  # it stands beside this file
    from recorder import Recorder  # type: ignore[import-not-found]  # the same
    from tracer import line_tracer  # type: ignore[import-not-found]  # the same

    sys.path.pop(0)
    for name in ("interpreter", "line", "recorder", "tracer"):
        sys.modules.pop(name, None)
    folder = start["folder"]
    trace = line_tracer(folder) if start["coverage"] else None
    scratch = tempfile.mkdtemp(prefix="run-")
    arguments = ["-o", f"cache_dir={scratch}/cache", *start["arguments"]]
    recorder = Recorder(send=line.send, receive=line.receive, own_arguments=len(arguments), trace=trace)
    ignore_bytecode(folder, f"{scratch}/bytecode")
    os.chdir(folder)
    sys.path[:0] = [path for path in start["roots"] if os.path.isdir(path)]  # noqa: PTH112  # started often
    return recorder, lambda: pytest.main(arguments, plugins=[recorder])


if __name__ == "__main__":
    main()
