"""The committed list of bugs: what was planted where, and which visible test catches it.

Rules:
- The list names the planter's version, the seed, and each library's version and hash. It is stale when one of them is
  not the program's own any more; a stale list is refused, never half used.
- It holds positions and the few new characters; no text of a library.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planting.edit import Category, Edit
from planting.library import Library

__all__ = ["COMMITTED", "PLANTER_VERSION", "SEED", "Bug", "Catalogue", "load", "save", "stale"]

PLANTER_VERSION = 1
"""Raise it with every change of the planter or of the screening that could choose other bugs."""
SEED = 2026
"""Orders the candidates and divides the tests."""
COMMITTED = Path(__file__).resolve().parent / "bugs.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Bug:
    """One bug that counts."""

    id: int
    library: str
    test: str
    """The failing visible test that the task names."""
    caught_by: int
    """How many tests fail, both halves."""
    visible: int
    """How many of them are visible."""
    edit: Edit


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue:
    """All bugs of some libraries by one seed."""

    planter: int
    seed: int
    libraries: Mapping[str, Mapping[str, Any]]
    """Name -> version, sha256, and `unreliable`: tests that did not pass twice on the original source."""
    bugs: Sequence[Bug]

    def unreliable(self, library: str) -> frozenset[str]:
        """Tests of a library that did not pass twice on the original source."""
        return frozenset(self.libraries[library]["unreliable"])


def save(catalogue: Catalogue, file: Path) -> None:
    """Write the list, a bug on each line."""
    head = {"planter": catalogue.planter, "seed": catalogue.seed, "libraries": dict(catalogue.libraries)}
    lines = ",\n".join("  " + json.dumps(_flat(bug), ensure_ascii=True) for bug in catalogue.bugs)
    text = json.dumps(head, indent=1)[:-2] + f',\n "bugs": [\n{lines}\n ]\n}}\n'
    file.write_text(text, encoding="ascii")


def load(file: Path = COMMITTED) -> Catalogue:
    """Read a list."""
    data = json.loads(file.read_text(encoding="ascii"))
    bugs = [_bug(item) for item in data["bugs"]]
    return Catalogue(planter=data["planter"], seed=data["seed"], libraries=data["libraries"], bugs=bugs)


def stale(catalogue: Catalogue, libraries: Sequence[Library], *, seed: int = SEED) -> list[str]:
    """Why the list is no longer what this program would make of these libraries; empty when it is."""
    reasons = []
    if catalogue.planter != PLANTER_VERSION:
        reasons.append(f"planter {catalogue.planter}, now {PLANTER_VERSION}")
    if catalogue.seed != seed:
        reasons.append(f"seed {catalogue.seed}, now {seed}")
    for library in libraries:
        listed = catalogue.libraries.get(library.name)
        if listed is None:
            reasons.append(f"without {library.name}")
        elif (listed["version"], listed["sha256"]) != (library.version, library.sha256):
            reasons.append(f"{library.name} {listed['version']}, now {library.version}")
    return reasons


def _flat(bug: Bug) -> dict[str, Any]:
    flat: dict[str, Any] = dataclasses.asdict(bug)
    edit: dict[str, Any] = flat.pop("edit")
    return flat | edit


def _bug(item: Mapping[str, Any]) -> Bug:
    inner = {field.name: item[field.name] for field in dataclasses.fields(Edit)}
    outer = {field.name: item[field.name] for field in dataclasses.fields(Bug) if field.name != "edit"}
    return Bug(**outer, edit=Edit(**inner | {"category": Category(inner["category"])}))
