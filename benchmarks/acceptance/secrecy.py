"""Checks that nothing in the sandbox can read the bench's folders, where the hidden tests and the originals are."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from planting.ground import Ground
from planting.library import cache_folder

from councilor.app import Tools
from councilor.ports.sandbox import Job, Limits, Mount

__all__ = ["check_secrecy"]

LOOK = """
import os, sys
for path in sys.argv[1:]:
    try:
        found = os.listdir(path) if os.path.isdir(path) else [open(path, "rb").read(1)]
    except OSError:
        continue
    print("READ", path, found[:3])
print("LOOKED")
"""


async def check_secrecy(tools: Tools, grounds: Sequence[Ground]) -> None:
    """Look from inside.

    Raises:
        ValueError: something can be read there.
    """
    for ground in grounds:
        looked_at = [ground.full, ground.visible, ground.full.parent, cache_folder(), ground.library.archive]
        looked_at += [ground.full / path for path in ground.library.test_files(ground.full)]
        with tempfile.TemporaryDirectory(dir=tools.runtime.settings.data_dir, prefix="look-") as inside:
            job = Job(
                argv=(str(ground.environment.python), "-c", LOOK, *map(str, looked_at)),
                cwd=Path(inside),
                mounts=(*ground.environment.mounts, Mount(path=Path(inside), writable=True)),
                limits=Limits(wall_s=60.0),
            )
            result = await tools.sandbox.run(job)
        told = result.output.decode(errors="replace")
        if "LOOKED" not in told or "READ" in told:
            raise ValueError(f"the hidden tests of {ground.library.name} are not hidden: {told[:500]}")
