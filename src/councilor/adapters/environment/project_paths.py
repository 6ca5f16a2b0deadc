"""Copied into an environment and run when its interpreter starts: where the tree's own modules are found.

Rules:
- Folders of modules come last on `sys.path`, relative to the top of the tree that the interpreter is started in. It may
  be started in the top or in the folder of one of its projects.
- A module that a build made (a version file, a compiled extension) is found in the environment, and only if its package
  is the tree's and has no such file itself.

It imports the standard library only, and nothing but `os` and `sys` before it is needed.
Source: PEP 302 and 451 (finders), PEP 405.
"""

from __future__ import annotations

import json
import os
import sys

__all__ = ["GeneratedModules", "extend"]

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  # every start of the interpreter pays for pathlib
GENERATED = os.path.join(HERE, "_councilor_generated")  # noqa: PTH118  # the same


class GeneratedModules:
    """A finder that comes after all others.

    Args:
        modules: full name -> path of its file, relative to `GENERATED`.
    """

    def __init__(self, modules: dict[str, str]) -> None:
        self._modules = modules

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        """The module's specification, or None."""
        if name not in self._modules:
            return None
        from importlib.util import spec_from_file_location

        return spec_from_file_location(name, os.path.join(GENERATED, self._modules[name]))  # noqa: PTH118  # the same

    def invalidate_caches(self) -> None:
        """There are none."""


def extend(working_folder: str) -> None:
    """Put the folders on the path, and the finder behind the others."""
    with open(os.path.join(HERE, "_councilor_project.json"), encoding="utf-8") as file:  # noqa: PTH118, PTH123  # the same
        layout = json.load(file)
    top = working_folder
    for folder in sorted(layout["projects"], key=len, reverse=True):
        if folder and working_folder.endswith("/" + folder):
            top = working_folder[: -len(folder) - 1]
            break
    for source in layout["sources"]:
        path = os.path.normpath(os.path.join(top, source))  # noqa: PTH118  # the same
        if path not in sys.path and os.path.isdir(path):  # noqa: PTH112  # the same
            sys.path.append(path)
    listing = os.path.join(GENERATED, "modules.json")  # noqa: PTH118  # the same
    if os.path.exists(listing):  # noqa: PTH110  # the same
        with open(listing, encoding="utf-8") as file:  # noqa: PTH123  # the same
            sys.meta_path.append(GeneratedModules(json.load(file)))  # type: ignore[arg-type]  # what a finder needs


if __name__ == "_councilor_project":
    extend(os.getcwd())  # noqa: PTH109  # the same
