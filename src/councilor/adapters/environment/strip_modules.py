"""Run inside the build's sandbox: remove the modules of what was installed from a local folder, keep its metadata.

Rules: only distributions whose `direct_url.json` names a folder are touched; only files below site-packages that are
not in a `.dist-info` folder go, with folders that become empty. It imports the standard library only, because it runs
with the environment's own interpreter.
Source: PEP 610 (direct_url.json).
"""

from __future__ import annotations

import contextlib
import json
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

__all__ = ["strip"]


def strip(site: Path) -> None:
    """Remove the modules of every local project installed in `site`."""
    for distribution in distributions(path=[str(site)]):
        if "dir_info" in json.loads(distribution.read_text("direct_url.json") or "{}"):
            _strip_one(distribution, site)


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
    strip(Path(sys.argv[1]))
