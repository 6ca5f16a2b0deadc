"""Whether changed files compile and their modules can be imported. Runs inside the sandbox, in the repository's
environment, and so does the code of the modules.

Rules:
- Arguments: the tree's folder, the report's path. Standard input is JSON: `{"paths": [...], "imported": [...]}`; every
  path is compiled, and those in `imported` are imported, too, one after the other.
- The report is a line of JSON for each path, flushed before the next one is begun: `[path, line, kind, message]`, with
  kind `ok`, `syntax`, `missing` (a module of that name is nowhere) or `import`. `begin` stands before each import, so
  that the one that ended the process is known.
- A module is imported by the name that its folders with `__init__.py` give it. The folder above goes last on
  `sys.path`; where another module of that name is found first, nothing is said about it (`elsewhere`).

Runs on Python 3.9 and later with the standard library only.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback

__all__ = ["main"]

HERE = os.path.dirname(os.path.realpath(__file__))  # noqa: PTH120  # pathlib would be imported before the repository's


def main(folder: str, report: str) -> None:
    """Compile and import, and say how it went."""
    given = json.loads(sys.stdin.buffer.read())
    top = os.path.realpath(folder)
    sys.dont_write_bytecode = True
    sys.path[:] = [place for place in sys.path if place and os.path.realpath(place) != HERE]
    with open(report, "w", encoding="ascii") as file:  # noqa: PTH123  # the same

        def say(path: str, line: int, kind: str, message: str = "") -> None:
            file.write(json.dumps([path, line, kind, message[:500]]) + "\n")
            file.flush()

        for path in given["paths"]:
            fault = _compile(os.path.join(top, path))  # noqa: PTH118  # the same
            if fault:
                say(path, *fault)
            elif path not in given["imported"]:
                say(path, 1, "ok")
        for path in given["imported"]:
            if _compile(os.path.join(top, path)):  # noqa: PTH118  # the same
                continue
            say(path, 1, "begin")
            say(path, *_import(top, path))
    # What was imported may have left threads behind.
    os._exit(0)


def _compile(path: str) -> tuple[int, str, str] | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # the same
            compile(file.read(), path, "exec", dont_inherit=True)
    except SyntaxError as error:
        return error.lineno or 1, "syntax", error.msg or "invalid syntax"
    except (ValueError, RecursionError, MemoryError, OSError) as error:
        return 1, "syntax", f"{type(error).__name__}: {error}"
    return None


def _import(top: str, path: str) -> tuple[int, str, str]:
    name, root = _name(top, path)
    if root not in sys.path:
        sys.path.append(root)
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        return _line(top, path, error), "missing", f"{error.name}: {error}"
    except BaseException as error:  # SystemExit, too, is a module that cannot be imported
        return _line(top, path, error), "import", f"{type(error).__name__}: {error}"
    found = os.path.realpath(getattr(module, "__file__", None) or "")
    return 1, "ok" if found.startswith(top + os.sep) else "elsewhere", ""


def _name(top: str, path: str) -> tuple[str, str]:
    """The module's dotted name, and the folder that it is found from."""
    folders, file = os.path.split(path)
    names = [] if file == "__init__.py" else [file[: -len(".py")]]
    while folders and os.path.isfile(os.path.join(top, folders, "__init__.py")):  # noqa: PTH118, PTH113  # the same
        folders, last = os.path.split(folders)
        names.insert(0, last)
    return ".".join(names), os.path.normpath(os.path.join(top, folders))  # noqa: PTH118  # the same


def _line(top: str, path: str, error: BaseException) -> int:
    """The line of the file at which the import failed."""
    wanted = os.path.join(top, path)  # noqa: PTH118  # the same
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == wanted]
    return (lines[-1] if lines else None) or 1


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
