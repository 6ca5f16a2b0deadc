"""A secret that settings name and do not hold: the value of a variable, or a file's text."""

from __future__ import annotations

import os
from pathlib import Path

from councilor.errors import InputError

__all__ = ["read_secret"]

MOST_BYTES = 4096


def read_secret(*, variable: str | None, file: Path | None) -> str | None:
    """The secret in an environment variable or a file; None when neither is named.

    Raises:
        InputError: what is named is not there, empty, or too long to be a secret.
    """
    if variable is not None:
        text, source, field = os.environ.get(variable, ""), f"The environment variable {variable}", "secret_variable"
    elif file is not None:
        text, source, field = _read(file), f"The file {file}", "secret_file"
    else:
        return None
    if not text.strip() or len(text) > MOST_BYTES:
        problem = "is empty or not set" if not text.strip() else f"has more than {MOST_BYTES} bytes"
        raise InputError(
            f"notify.{field}: {source} {problem}.",
            hint=f"Put the secret there, or correct notify.{field}.",
            field=field,
        )
    return text.strip()


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(MOST_BYTES + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(
            f"notify.secret_file: {file} cannot be read: {problem}.",
            hint="Put the secret there, or correct notify.secret_file.",
            field="secret_file",
        ) from error
