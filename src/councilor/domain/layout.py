"""How a repository is laid out, told from its paths alone: which folders are projects, which sources are compiled.

Rules:
- A project's folder holds a pyproject.toml, setup.py or setup.cfg. The top is one of them only where it holds one, too.
- Examples, documentation, test data, templates, vendored code and hidden folders hold no projects of the repository.
- A setup.py beside an `__init__.py` is a module.

It reads no file: whether a pyproject.toml declares a project is for others to say.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["FOREIGN_CODE", "MOST_PROJECTS", "inside", "is_native_source", "project_folders"]

MOST_PROJECTS = 50
FOREIGN_CODE = (
    ".c", ".cc", ".cjs", ".cpp", ".cs", ".go", ".h", ".java", ".js", ".jsx", ".kt", ".mjs", ".php", ".rb", ".rs",
    ".ts", ".tsx",
)  # fmt: skip
"""Ends of the names of source files in other languages."""
_DEEPEST = 4
_MARKS = frozenset({"pyproject.toml", "setup.py", "setup.cfg"})
_NO_PROJECTS = frozenset(
    {
        "test", "tests", "testing", "testdata", "fixtures", "data", "example", "examples", "sample", "samples", "demo",
        "demos", "doc", "docs", "documentation", "template", "templates", "vendor", "vendored", "_vendor",
        "third_party", "thirdparty", "external", "extern", "node_modules", "site-packages", "build", "dist", "bench",
        "benchmarks",
    }
)  # fmt: skip
_NATIVE = (".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".pyx", ".pxd", ".pxi", ".rs", ".f", ".f90")
_NATIVE_NAMES = frozenset({"Cargo.toml", "Cargo.lock", "meson.build", "meson.options", "CMakeLists.txt"})


def project_folders(paths: Iterable[str]) -> tuple[str, ...]:
    """The folders that may hold projects, the top as an empty text, sorted; at most `MOST_PROJECTS`."""
    known = set(paths)
    found = set()
    for path in known:
        folder, _, name = path.rpartition("/")
        if name in _MARKS and _may_hold(folder) and not (name == "setup.py" and f"{folder}/__init__.py" in known):
            found.add(folder)
    return tuple(sorted(found)[:MOST_PROJECTS])


def is_native_source(path: str) -> bool:
    """Whether a compiled module may be built from it."""
    return path.endswith(_NATIVE) or path.rpartition("/")[2] in _NATIVE_NAMES


def inside(path: str, folder: str) -> bool:
    """Whether a path lies in a folder of `project_folders`."""
    return not folder or path == folder or path.startswith(f"{folder}/")


def _may_hold(folder: str) -> bool:
    parts = folder.split("/") if folder else []
    hidden = any(part.startswith(".") or "{" in part for part in parts)
    return len(parts) <= _DEEPEST and not hidden and not _NO_PROJECTS & {part.lower() for part in parts}
