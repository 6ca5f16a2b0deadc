"""Loading pytest and its plugins ahead of the repository, so that a trial need not.

Rules:
- What pytest would load at its start is loaded; whether it is used is still pytest's decision in each trial.
- Nothing of the repository is loaded: a plugin that it defines itself is left out, and it is checked afterwards.

Python 3.9 and later, pytest 7 and later.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from contextlib import suppress
from importlib.metadata import entry_points
from typing import Any

__all__ = ["load_plugins", "loads_any"]


def load_plugins(folder: str) -> None:
    """Load what pytest would load at its start, but for plugins that the repository itself defines."""
    from _pytest.config import default_plugins

    names = [f"_pytest.{name}" for name in default_plugins]
    names += [point.value.partition(":")[0] for point in _plugin_points() if not _inside(point.value, folder)]
    for name in names:
        with suppress(Exception, SystemExit):  # pytest will say it, if it matters
            importlib.import_module(name)


def _plugin_points() -> list[Any]:
    found: Any = entry_points()
    points = found.select(group="pytest11") if hasattr(found, "select") else found.get("pytest11", ())  # Python 3.9
    return list(points)


def _inside(value: str, folder: str) -> bool:
    try:
        found = importlib.util.find_spec(value.partition(":")[0].partition(".")[0])
    except (ImportError, ValueError):
        return True
    return found is None or (found.origin or "").startswith(folder + os.sep)


def loads_any(folder: str) -> bool:
    """Whether anything of the repository is already loaded."""
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return any(isinstance(file, str) and file.startswith(folder + os.sep) for file in files)
