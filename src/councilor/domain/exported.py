"""What an export says about itself: `record.json` names its files, `log.json` proves its place in the log.

Both are only a table of contents. Nothing in them is believed: every statement is verified by its signature, every body
by its hash, every proof by the checkpoint that it leads to, and what is left out of them is missing.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from councilor.domain.log import ConsistencyProof, InclusionProof
from councilor.errors import InputError

__all__ = ["CHECKPOINT_FILE", "KEY_SUFFIX", "LOG_FILE", "RECORD_FILE", "ExportedLog", "Manifest", "ManifestItem"]

RECORD_FILE = "record.json"
LOG_FILE = "log.json"
CHECKPOINT_FILE = "checkpoint"
KEY_SUFFIX = ".key.json"
FORMAT = "councilor-record/1"


@dataclass(frozen=True, kw_only=True, slots=True)
class ManifestItem:
    """One artifact's files: `<stem>.dsse.json`, `<stem>.body`, ..."""

    artifact_id: str
    stem: str
    size_bytes: int
    erased: bool = False
    """Its bytes were removed by retention, so there is no `.body`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The table of contents."""

    task_id: str
    commit: str | None
    items: tuple[ManifestItem, ...]

    def dump(self) -> bytes:
        """As JSON for people and programs."""
        items = [
            {"artifact_id": item.artifact_id, "stem": item.stem, "size_bytes": item.size_bytes, "erased": item.erased}
            for item in self.items
        ]
        content = {"format": FORMAT, "task_id": self.task_id, "commit": self.commit, "artifacts": items}
        return json.dumps(content, indent=1).encode() + b"\n"

    @classmethod
    def load(cls, data: bytes) -> Manifest:
        """Read it.

        Raises:
            InputError: it is no such table.
        """
        try:
            raw: Any = json.loads(data)
            if raw["format"] != FORMAT:
                raise InputError(
                    f"{RECORD_FILE} is of the format {raw['format']!r}, not {FORMAT!r}.", field=RECORD_FILE
                )
            items = tuple(
                ManifestItem(
                    artifact_id=_text(item["artifact_id"]),
                    stem=_stem(item["stem"]),
                    size_bytes=int(item["size_bytes"]),
                    erased=item["erased"] is True,
                )
                for item in raw["artifacts"]
            )
            commit = raw["commit"]
            return cls(task_id=_text(raw["task_id"]), commit=None if commit is None else _text(commit), items=items)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"{RECORD_FILE} is no table of an export: {error!r}.", field=RECORD_FILE) from error


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedLog:
    """Proofs that lead from an export's statements, and from earlier checkpoints, to its own checkpoint."""

    origin: str
    inclusion: Mapping[str, InclusionProof] = field(default_factory=dict)
    """By artifact id."""
    waiting: frozenset[str] = frozenset()
    """Artifacts that were not yet leaves when the export was made."""
    consistency: tuple[ConsistencyProof, ...] = ()

    def dump(self) -> bytes:
        """As JSON for people and programs."""
        content = {
            "origin": self.origin,
            "inclusion": {
                artifact_id: {"index": proof.index, "size": proof.size, "hashes": [_b64(item) for item in proof.hashes]}
                for artifact_id, proof in self.inclusion.items()
            },
            "waiting": sorted(self.waiting),
            "consistency": [
                {"old_size": p.old_size, "new_size": p.new_size, "hashes": [_b64(item) for item in p.hashes]}
                for p in self.consistency
            ],
        }
        return json.dumps(content, indent=1).encode() + b"\n"

    @classmethod
    def load(cls, data: bytes) -> ExportedLog:
        """Read them.

        Raises:
            InputError: they are no such proofs.
        """
        try:
            raw: Any = json.loads(data)
            return cls(
                origin=_text(raw["origin"]),
                inclusion={
                    _text(artifact_id): InclusionProof(
                        index=int(item["index"]),
                        size=int(item["size"]),
                        hashes=[_unb64(text) for text in item["hashes"]],
                    )
                    for artifact_id, item in raw["inclusion"].items()
                },
                waiting=frozenset(_text(item) for item in raw["waiting"]),
                consistency=tuple(
                    ConsistencyProof(
                        old_size=int(item["old_size"]),
                        new_size=int(item["new_size"]),
                        hashes=[_unb64(text) for text in item["hashes"]],
                    )
                    for item in raw["consistency"]
                ),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{LOG_FILE} holds no proofs of an export: {error!r}.", field=LOG_FILE) from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _stem(value: object) -> str:
    """A stem comes from outside and becomes a path: it may name a file of the folder and nothing else."""
    stem = _text(value)
    if not stem or stem.startswith((".", "-")) or not set(stem) <= _PLAIN:
        raise ValueError(f"{stem!r} is no name of an exported file")
    return stem


_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-~")


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unb64(text: object) -> bytes:
    try:
        return base64.b64decode(_text(text), validate=True)
    except binascii.Error as error:
        raise ValueError(f"{text!r} is not base64") from error
