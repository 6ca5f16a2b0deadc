"""Run inside the build's sandbox: remove the modules of what was installed from a local folder, keep its metadata.

Rules:
- Only distributions whose `direct_url.json` names a folder are touched; only files below site-packages that are not in
  a `.dist-info` folder go, with folders that become empty.
- A module that the build made stays, apart in `_councilor_generated`: a compiled extension, or Python code whose path
  and text the tree has nowhere. What the tree has must come from the tree, or a candidate's change would not count.

It imports the standard library only, because it runs with the environment's own interpreter.
Source: PEP 610 (direct_url.json).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import Distribution, PackagePath, distributions
from pathlib import Path

__all__ = ["strip"]

GENERATED = "_councilor_generated"


def strip(site: Path, tree: Path | None = None, tracked: list[str] | None = None) -> dict[str, str]:
    """Remove the modules of every local project installed in `site`.

    Args:
        tree: the export that was built.
        tracked: its files, relative; None keeps nothing.
    Returns:
        Modules that the build made: full name -> path in the folder where they are kept.
    """
    by_name: dict[str, list[str]] = {}
    for path in tracked or ():
        by_name.setdefault(path.rpartition("/")[2], []).append(path)
    generated: dict[str, str] = {}
    for distribution in distributions(path=[str(site)]):
        if "dir_info" in json.loads(distribution.read_text("direct_url.json") or "{}"):
            kept = [] if tree is None else _generated(distribution, tree, by_name)
            for file in kept:
                generated[_module(file)] = _keep(distribution, file, site)
            _strip_one(distribution, site)
    if generated:
        (site / GENERATED / "modules.json").write_text(json.dumps(generated))
    return generated


def _generated(distribution: Distribution, tree: Path, by_name: dict[str, list[str]]) -> list[PackagePath]:
    return [
        file
        for file in distribution.files or ()
        if not file.parts[0].endswith((".dist-info", ".data"))
        and ".." not in file.parts
        and "__pycache__" not in file.parts
        and not file.parts[0].startswith("__editable__")
        and _made(distribution, file, tree, by_name)
    ]


def _made(distribution: Distribution, file: PackagePath, tree: Path, by_name: dict[str, list[str]]) -> bool:
    if file.name.endswith(tuple(EXTENSION_SUFFIXES)):
        return True
    same_name = by_name.get(file.name, [])
    if file.suffix != ".py" or any(f"/{path}".endswith(f"/{file}") for path in same_name):
        return False
    content = Path(str(distribution.locate_file(file))).read_bytes()
    return not any(_read(tree / path) == content for path in same_name)


def _read(path: Path) -> bytes:
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return b""


def _module(file: PackagePath) -> str:
    """`pkg/_version.py`, `pkg/fast.cpython-311-x86_64-linux-gnu.so` -> the name that is imported."""
    parts = [*file.parts[:-1], file.name.partition(".")[0]]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _keep(distribution: Distribution, file: PackagePath, site: Path) -> str:
    target = site / GENERATED / str(file)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(str(distribution.locate_file(file)), target)
    return str(file)


def _strip_one(distribution: Distribution, site: Path) -> None:
    kept = []
    for file in distribution.files or ():
        path = Path(str(distribution.locate_file(file))).resolve()
        inside = path.is_relative_to(site.resolve())
        if not inside or file.parts[0].endswith(".dist-info"):
            kept.append(f"{file},,\n")
            continue
        compiled = list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")) if path.suffix == ".py" else []
        for gone in (*compiled, path):
            gone.unlink(missing_ok=True)
            _remove_empty(gone.parent, site.resolve())
    for record in site.glob("*.dist-info/RECORD"):
        if record.parent.name == _folder_name(distribution):
            record.write_text("".join(kept))


def _remove_empty(folder: Path, top: Path) -> None:
    with contextlib.suppress(OSError):  # the first one that is not empty ends it
        while folder != top:
            folder.rmdir()
            folder = folder.parent


def _folder_name(distribution: Distribution) -> str:
    return next((file.parts[0] for file in distribution.files or () if file.parts[0].endswith(".dist-info")), "")


if __name__ == "__main__":
    site_packages, exported, listing = (Path(argument) for argument in sys.argv[1:4])
    strip(site_packages, exported, json.loads(listing.read_text()))
