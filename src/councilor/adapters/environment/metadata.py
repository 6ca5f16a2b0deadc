"""The repository's own project inside its environment: known by name, without a line of its code.

Rules:
- `importlib.metadata` finds the project (version, requirements, entry points); its modules come from the exported tree,
  never from the environment, so that a candidate is judged by its own code.
- A project that says everything in `[project]` is written down from there; nothing is built.
- Any other is built in the sandbox, and its modules are removed again (`strip_modules`), but for those that only the
  build makes.
- The tree's folders of modules come last on `sys.path` (`project_paths`).

Source: https://packaging.python.org/en/latest/specifications/recording-installed-packages/, PEP 621.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from councilor.adapters.environment import project_paths

__all__ = ["PATH_FILE", "write_path_file", "write_project"]

PATH_FILE = "councilor_project.pth"


def write_path_file(site: Path, *, projects: Sequence[str], sources: Sequence[str]) -> None:
    """Let the interpreter find the tree's modules.

    Args:
        projects: folders of projects, relative to the top of the tree; it may be started in any of them.
        sources: folders of modules, likewise.
    """
    (site / "_councilor_project.py").write_bytes(Path(project_paths.__file__).read_bytes())
    (site / "_councilor_project.json").write_text(json.dumps({"projects": list(projects), "sources": list(sources)}))
    (site / PATH_FILE).write_text("import _councilor_project\n")


def write_project(site: Path, table: Mapping[str, Any]) -> None:
    """Record a project in a site-packages folder.

    Args:
        table: its `[project]` table, with name and version.
    """
    name, version = str(table["name"]), str(table["version"])
    folder = site / f"{re.sub(r'[-_.]+', '_', name)}-{version.replace('-', '_')}.dist-info"
    if folder.parent != site:
        return  # a name with a slash is no project's name; its installer would refuse it
    folder.mkdir()
    files = {"METADATA": _metadata(table), "INSTALLER": "councilor\n"}
    if entry_points := _entry_points(table):
        files["entry_points.txt"] = entry_points
    rows = []
    for file_name, text in files.items():
        (folder / file_name).write_text(text, encoding="utf-8")
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{folder.name}/{file_name},sha256={digest},{len(text.encode())}\n")
    (folder / "RECORD").write_text("".join([*rows, f"{folder.name}/RECORD,,\n"]))


def _metadata(table: Mapping[str, Any]) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {_line(table['name'])}", f"Version: {_line(table['version'])}"]
    if "description" in table:
        lines.append(f"Summary: {_line(table['description'])}")
    if "requires-python" in table:
        lines.append(f"Requires-Python: {_line(table['requires-python'])}")
    lines += [f"Requires-Dist: {_line(item)}" for item in table.get("dependencies") or ()]
    for extra, items in (table.get("optional-dependencies") or {}).items():
        lines.append(f"Provides-Extra: {_line(extra)}")
        lines += [f"Requires-Dist: {_with_extra(_line(item), extra)}" for item in items]
    return "\n".join(lines) + "\n"


def _with_extra(requirement: str, extra: str) -> str:
    text, mark, condition = requirement.partition(";")
    return f'{text.strip()} ; ({condition.strip()}) and extra == "{extra}"' if mark else f'{text} ; extra == "{extra}"'


def _entry_points(table: Mapping[str, Any]) -> str:
    groups: dict[str, Mapping[str, Any]] = dict(table.get("entry-points") or {})
    for key, group in (("scripts", "console_scripts"), ("gui-scripts", "gui_scripts")):
        if table.get(key):
            groups[group] = table[key]
    return "".join(
        f"[{_line(group)}]\n" + "".join(f"{_line(name)} = {_line(target)}\n" for name, target in points.items()) + "\n"
        for group, points in groups.items()
    )


def _line(value: object) -> str:
    return " ".join(str(value).split())
