"""What an interpreter must not take from the repository before its tests run: cached bytecode.

Rules:
- Bytecode inside the repository's folder is neither read nor written: committed `.pyc` files do nothing.
- Processes that the tests start get a fresh cache of their own.

Runs on Python 3.9 and later with the standard library only.
"""

from __future__ import annotations

import importlib._bootstrap_external as bootstrap
import os
import sys
from typing import Any

__all__ = ["ignore_bytecode"]


def ignore_bytecode(folder: str, pycache: str) -> None:
    """Make the import system pass over cached bytecode inside `folder`; `pycache` is the cache for other processes."""
    inside = folder.rstrip(os.sep) + os.sep
    locate = bootstrap.cache_from_source

    def cache_from_source(path: Any, *args: Any, **options: Any) -> str:
        if os.fspath(path).startswith(inside):
            raise NotImplementedError("bytecode of the repository is not used")
        prefix, sys.pycache_prefix = sys.pycache_prefix, None
        try:
            return locate(path, *args, **options)
        finally:
            sys.pycache_prefix = prefix

    bootstrap.cache_from_source = cache_from_source
    sys.dont_write_bytecode = True
    sys.pycache_prefix = pycache
    os.environ["PYTHONPYCACHEPREFIX"] = pycache
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
