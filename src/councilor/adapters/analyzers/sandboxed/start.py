"""Starts one of the programs of this folder inside the sandbox.

Rules:
- Standard input is JSON: `{"program", "sites", "report", "scratch", "task"}`. The folders `sites` go behind the
  standard library on `sys.path`; `scratch` is where a tool may write.
- The program is a module with `analyze(task, scratch)`; what it returns is written to `report` as JSON, whole or not
  at all.

It is a script of the standard library only, and the folder that it stands in is not on `sys.path`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Read the task, run the program, write the report."""
    given: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    sys.path += given["sites"]
    spec = importlib.util.spec_from_file_location("councilor_program", given["program"])
    if spec is None or spec.loader is None:
        sys.exit(f"{given['program']} is no module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    report = module.analyze(given["task"], Path(given["scratch"]))
    draft = Path(given["report"] + ".new")
    draft.write_text(json.dumps(report), encoding="ascii")
    draft.rename(given["report"])
    sys.stdout.flush()
    sys.stderr.flush()
    # Tools leave much to tear down, and nobody waits for it.
    os._exit(0)


if __name__ == "__main__":
    main()
