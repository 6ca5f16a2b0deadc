"""What tests of backups share: a place with a backup, what is in a file, and programs that are waited for."""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from commandline import CommandLine

from councilor.domain.backup import sums_text


@dataclass(frozen=True)
class Place:
    """A data folder with keys, a database with tasks, and a backup of both."""

    url: str
    councilor: CommandLine
    backup: Path


@contextmanager
def new_database(server_url: str) -> Iterator[str]:
    name = f"backup_{os.urandom(8).hex()}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")  # type: ignore[call-overload]
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server_url, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]


def at(data_dir: Path, url: str) -> CommandLine:
    return CommandLine(data_dir, {"V3_STORAGE__DATABASE__URL": url})


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def rebuilt(path: Path, target: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> Path:
    """A backup with other contents, its manifest and sums made to fit."""
    held = members(path)
    manifest = json.loads(held.pop("manifest.json"))
    del held["SHA256SUMS"]
    change(manifest, held)
    manifest["members"] = [
        {"name": name, "size_bytes": len(data), "sha256": sha256(data).hexdigest()} for name, data in held.items()
    ]
    held["manifest.json"] = json.dumps(manifest).encode()
    sums = [Listed(name, sha256(data).hexdigest()) for name, data in held.items()]
    held["SHA256SUMS"] = sums_text(sums)  # type: ignore[arg-type]
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in held.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return target


@dataclass(frozen=True)
class Listed:
    name: str
    sha256: str


def wait_for(condition: Callable[[], object], *, timeout_s: float = 60) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found


def sessions(url: str, where: str = "true") -> list[Any]:
    """Backends of our programs in a database."""
    with psycopg.connect(url) as connection:
        query = (
            "SELECT pid, query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            f"AND application_name LIKE 'councilor backup%' AND {where}"
        )
        return connection.execute(query).fetchall()  # type: ignore[call-overload]


def count(url: str, table: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # type: ignore[call-overload]
        return int(row[0])
