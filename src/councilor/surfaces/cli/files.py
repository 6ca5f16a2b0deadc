"""Files that a command writes for its user: whole or not at all, and nothing is overwritten unasked.

Rules:
- Bytes go to a file beside the target, which gets the target's name once all of them are there and were checked.
- A target that exists is refused; with `force` a regular file is replaced, and nothing else ever is.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from secrets import token_hex

from councilor.errors import InputError

__all__ = ["write_file"]


async def write_file(target: Path, chunks: AsyncIterator[bytes], *, force: bool) -> int:
    """Write all chunks into a file; gives the number of bytes.

    Raises:
        InputError: the target exists, is no regular file, or its folder cannot be written to.
    """
    _require_free(target, force=force)
    part = target.parent / f".{target.name[:100]}.{token_hex(8)}"
    try:
        stream = await asyncio.to_thread(part.open, "xb")
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror}.", field="output") from error
    size_bytes = 0
    try:
        with stream:
            async for chunk in chunks:
                size_bytes += len(chunk)
                await asyncio.to_thread(stream.write, chunk)
        _put_in_place(part, target, force=force)
    finally:
        part.unlink(missing_ok=True)
    return size_bytes


def _put_in_place(part: Path, target: Path, *, force: bool) -> None:
    _require_free(target, force=force)
    if not force:
        try:
            os.link(part, target)
        except FileExistsError as error:
            raise _exists(target) from error
        except OSError:
            pass  # a file system without links
        else:
            return
    part.replace(target)


def _require_free(target: Path, *, force: bool) -> None:
    try:
        mode = target.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror}.", field="output") from error
    if not stat.S_ISREG(mode):
        raise InputError(f"{target} is no regular file.", field="output", hint="Name a new file.")
    if not force:
        raise _exists(target)


def _exists(target: Path) -> InputError:
    return InputError(f"{target} exists.", field="output", hint="Name a new file, or pass --force to replace it.")
