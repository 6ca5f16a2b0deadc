"""Which sandbox a machine gets: the strongest that works, or none at all and then nothing runs.

Rules:
- `auto` takes bubblewrap, else Landlock (on macOS: seatbelt). A kind that cannot run the probe does not work.
- A kind that was asked for by name is taken or refused, never replaced.
- `none` must be asked for by name. It is never a fallback.

It does not judge whether a level is enough for a task; the tiers do.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from councilor.adapters.sandbox.base import BaseSandbox
from councilor.adapters.sandbox.bubblewrap import Bubblewrap
from councilor.adapters.sandbox.landlock import Landlock
from councilor.adapters.sandbox.none import NoSandbox
from councilor.adapters.sandbox.seatbelt import Seatbelt
from councilor.errors import InputError, SandboxError
from councilor.ports.clock import Clock
from councilor.ports.metrics import MetricsBackend
from councilor.ports.sandbox import Limits

__all__ = ["KINDS", "choose_sandbox"]

KINDS: Mapping[str, type[BaseSandbox]] = MappingProxyType(
    {kind.name: kind for kind in (Bubblewrap, Landlock, Seatbelt, NoSandbox)}
)
AUTO = ("seatbelt",) if sys.platform == "darwin" else ("bubblewrap", "landlock")


async def choose_sandbox(
    kind: str = "auto",
    *,
    scratch: Path,
    metrics: MetricsBackend,
    clock: Clock,
    private: tuple[Path, ...] = (),
    ceiling: Limits | None = None,
) -> BaseSandbox:
    """The sandbox to use, already probed.

    Args:
        kind: `auto`, `bubblewrap`, `landlock`, `seatbelt` or `none`.
        scratch: a folder of ours, for what jobs need for themselves.
        private: folders and files of councilor's that no job may ever see.
        ceiling: no job gets more than this.
    Raises:
        InputError: there is no such kind.
        SandboxError: it does not work here; says what was tried and why each failed.
    """
    if kind != "auto" and kind not in KINDS:
        raise InputError(f"there is no sandbox called {kind!r}; there are auto, {', '.join(KINDS)}", field="sandbox")
    failures = []
    for name in AUTO if kind == "auto" else (kind,):
        sandbox = KINDS[name](scratch=scratch, metrics=metrics, clock=clock, private=private, ceiling=ceiling)
        try:
            await sandbox.probe()
        except SandboxError as error:
            failures.append(f"{name}: {error.message}")
        else:
            return sandbox
    raise SandboxError(f"no sandbox works here ({'; '.join(failures)})", backend=kind)
