"""Whether a change adds dependencies, as far as the files that declare them tell.

Rules:
- `pyproject.toml`, `setup.cfg` and `package.json`: the requirements they declare; `requirements*.txt`: the lines that
  are neither comments nor options. Compared by name: another version of one that was there is not a new one.
- A change of `setup.py`, `Pipfile`, a conda file or an unreadable file cannot be told: None.
- A removed requirement is not a new one.

Source: PEP 508, PEP 621, PEP 735, https://setuptools.pypa.io/en/latest/userguide/declarative_config.html,
https://docs.npmjs.com/cli/configuring-npm/package-json.
"""

from __future__ import annotations

import configparser
import json
import posixpath
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from councilor.domain.change import FileChange

__all__ = ["declares", "new_dependencies", "requirement_name"]

OPAQUE = frozenset({"setup.py", "Pipfile", "environment.yml", "environment.yaml", "conda.yaml"})
NAME = re.compile(r"(?:@[\w.-]+/)?[\w][\w.-]*")
SCRIPTS = ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies")
ENTRIES = ("install_requires", "setup_requires", "tests_require")

Read = Callable[[str], Iterator[str]]


def new_dependencies(changes: Sequence[FileChange]) -> tuple[str, ...] | None:
    """Requirements that the candidate declares and the base does not, sorted; None when it cannot be told."""
    found: set[str] = set()
    for change in changes:
        if not declares(change.path):
            continue
        read = _reader(posixpath.basename(change.path))
        old, new = _requirements_of(change.old, read), _requirements_of(change.new, read)
        if old is None or new is None:
            return None
        known = {requirement_name(item) for item in old}
        found |= {item for item in new if requirement_name(item) not in known}
    return tuple(sorted(found))


def declares(path: str) -> bool:
    """Whether a file may declare requirements."""
    name = posixpath.basename(path)
    return name in OPAQUE or _reader(name) is not None


def requirement_name(requirement: str) -> str:
    """The package's name as it is compared: without version and extras, in lower case, with dashes."""
    match = NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", match[0] if match else requirement).lower()


def _reader(name: str) -> Read | None:
    if name in OPAQUE:
        return None
    if name.startswith("requirements") and name.endswith((".txt", ".in")):
        return _lines
    return {"pyproject.toml": _project, "setup.cfg": _setup, "package.json": _package}.get(name)


def _requirements_of(source: bytes | None, read: Read | None) -> set[str] | None:
    if read is None:
        return None
    try:
        return set(read((source or b"").decode("utf-8")))
    except (ValueError, configparser.Error, RecursionError):
        return None


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        requirement = "".join(re.split(r"(?:^|\s)#", line)[0].split())
        if requirement and not requirement.startswith("-"):
            yield requirement


def _setup(text: str) -> Iterator[str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    texts = [parser.get("options", key, fallback="") for key in ENTRIES]
    if parser.has_section("options.extras_require"):
        texts += [value for _, value in parser.items("options.extras_require")]
    for entry in texts:
        yield from _lines(entry.replace(";\n", "\n"))


def _package(text: str) -> Iterator[str]:
    data = json.loads(text or "{}")
    for key in SCRIPTS:
        table = _table(data, key)
        yield from (f"{name} {version}" for name, version in table.items()) if isinstance(table, dict) else ()


def _project(text: str) -> Iterator[str]:
    yield from _requirements(tomllib.loads(text))


def _table(data: Any, *keys: str) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _requirements(data: dict[str, Any]) -> Iterator[str]:
    lists = [_table(data, "project", "dependencies"), _table(data, "build-system", "requires")]
    for group in (_table(data, "project", "optional-dependencies"), _table(data, "dependency-groups")):
        lists += list(group.values()) if isinstance(group, dict) else []
    for entries in lists:
        yield from (str(entry) for entry in entries) if isinstance(entries, list) else ()
    poetry = [_table(data, "tool", "poetry", "dependencies"), _table(data, "tool", "poetry", "dev-dependencies")]
    groups = _table(data, "tool", "poetry", "group")
    poetry += [_table(group, "dependencies") for group in groups.values()] if isinstance(groups, dict) else []
    for table in poetry:
        yield from (f"{name} {value}" for name, value in table.items()) if isinstance(table, dict) else ()
