"""Poetry's own way of writing dependencies, translated into the standard one.

Rules:
- `^1.2` is `>=1.2,<2`, `~1.2` is `>=1.2,<1.3`, a bare version is that version, `*` is any; the first figure of a caret
  that is not zero may not change.
- A dependency for another Python than this interpreter's is left out; `markers`, `extras`, `git` and `url` are kept.
- What has no standard form (`||`, a path in the tree) is left open or out, and said.

It reads poetry.lock nowhere: `locks.py` does.
Source: https://python-poetry.org/docs/dependency-specification/, PEP 440, PEP 508.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

__all__ = ["Translated", "group_requirements", "project_table", "specifier"]

_PART = re.compile(r"(\^|~=|~|>=|<=|!=|===|==|=|>|<)?\s*v?([0-9][^\s,]*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Translated:
    """Requirements in standard form, and what was left out."""

    requirements: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def specifier(constraint: str) -> str | None:
    """A version constraint as PEP 440 has it; None when it has no such form."""
    text = constraint.strip()
    if text in {"", "*"}:
        return ""
    if "|" in text:
        return None
    parts = []
    for operator, version in _PART.findall(text):
        parts.append(_part(operator, version))
    result = ",".join(parts)
    try:
        SpecifierSet(result)
    except InvalidSpecifier:
        return None
    return result if parts else None


def project_table(table: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A `[project]` table from `[tool.poetry]`, and what was left out of it."""
    declared = _mapping(table.get("dependencies"))
    main, optional, notes = [], {}, []
    for name, value in declared.items():
        if name.lower() == "python":
            continue
        translated = list(_requirements(name, value))
        notes += [note for _, note in translated if note]
        lines = [line for line, _ in translated if line]
        if isinstance(value, dict) and value.get("optional"):
            optional[_normal(name)] = lines
        else:
            main += lines
    extras = {
        str(extra): [line for name in names for line in optional.get(_normal(str(name)), ())]
        for extra, names in _mapping(table.get("extras")).items()
        if isinstance(names, list)
    }
    python = declared.get("python")
    project: dict[str, Any] = {
        "name": table.get("name") or "project",
        "version": table.get("version") or "0.0.0",
        "dependencies": main,
        "optional-dependencies": extras,
        "requires-python": (specifier(python) if isinstance(python, str) else None) or "",
        "scripts": {key: value for key, value in _mapping(table.get("scripts")).items() if isinstance(value, str)},
        "entry-points": {key: _mapping(value) for key, value in _mapping(table.get("plugins")).items()},
    }
    return project, tuple(notes)


def group_requirements(tool: Mapping[str, Any], names: Sequence[str]) -> Translated:
    """What the groups of these names need."""
    table = _mapping(tool.get("poetry"))
    groups = _mapping(table.get("group"))
    found = [_mapping(_mapping(groups.get(name)).get("dependencies")) for name in names]
    if "dev" in names:
        found.append(_mapping(table.get("dev-dependencies")))
    translated = [each for group in found for name, value in group.items() for each in _requirements(name, value)]
    return Translated(
        requirements=tuple(line for line, _ in translated if line),
        notes=tuple(note for _, note in translated if note),
    )


def _requirements(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Lines, each with a note; one of the two may be empty."""
    if isinstance(value, list):
        for item in value:
            yield from _requirements(name, item)
        return
    options = value if isinstance(value, dict) else {"version": str(value)}
    if not _fits(options.get("python")):
        return
    if "path" in options or "file" in options:
        yield "", f"{name} lies at {options.get('path') or options.get('file')}; it is not installed from there."
        return
    extras = f"[{','.join(map(str, options['extras']))}]" if options.get("extras") else ""
    marker = " and ".join(
        part
        for part in (
            f"({options['markers']})" if options.get("markers") else "",
            f"sys_platform == '{options['platform']}'" if options.get("platform") else "",
        )
        if part
    )
    end = f" ; {marker}" if marker else ""
    if "git" in options or "url" in options:
        yield f"{name}{extras} @ {_address(options)}{end}", ""
        return
    version = specifier(str(options.get("version", "*")))
    note = "" if version is not None else f"The constraint {options['version']!r} of {name} is left open."
    yield f"{name}{extras}{version or ''}{end}", note


def _address(options: Mapping[str, Any]) -> str:
    if "url" in options:
        return str(options["url"])
    revision = options.get("rev") or options.get("tag") or options.get("branch")
    folder = f"#subdirectory={options['subdirectory']}" if options.get("subdirectory") else ""
    return f"git+{options['git']}{f'@{revision}' if revision else ''}{folder}"


def _part(operator: str, version: str) -> str:
    if operator not in {"^", "~"}:
        return f"{operator if operator not in {'', '='} else '=='}{version}"
    figures = [int(figure) for figure in re.match(r"\d+(?:\.\d+)*", version)[0].split(".")]  # type: ignore[index]  # it begins with a digit
    if operator == "~":
        kept = figures[:2]
    else:
        first = next((index for index, figure in enumerate(figures) if figure), len(figures) - 1)
        kept = figures[: first + 1]
    upper = ".".join(map(str, [*kept[:-1], kept[-1] + 1]))
    return f">={version},<{upper}"


def _fits(python: Any) -> bool:
    if not isinstance(python, str):
        return True
    text = specifier(python)
    return not text or SpecifierSet(text).contains(platform.python_version(), prereleases=True)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
