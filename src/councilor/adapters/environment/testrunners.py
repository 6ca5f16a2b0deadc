"""What tox and nox would install for the tests, as far as it can be read without running them.

Rules:
- tox: `deps` and `extras` of `[testenv]`, else of every environment that is named after tests or a Python;
  `env_run_base` of tox.toml and of `[tool.tox]`. Lines for factors that this interpreter has not are left out.
- nox: literal arguments of `install` in sessions named after tests, else in those that run pytest or unittest.
- Names of constants are followed; everything else that would have to be computed is left out and said.

It decides nothing: a project that says itself what its tests need is taken at its word.
Source: https://tox.wiki/en/latest/config.html, https://nox.thea.codes/en/stable/config.html.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from councilor.adapters.environment.project import parse_toml, read_sections
from councilor.domain.syntax import parse_module

__all__ = ["TestDependencies", "of_nox", "of_tox"]

_REFERENCE = re.compile(r"\{\[([^\]{}]+)\]([^{}]+)\}")
_FACTORS = re.compile(r"^([\w.!{},-]+)\s*:\s+(?=\S)|^([\w.!{},-]+):(?=[A-Za-z])")
_LOCAL = re.compile(r"\.?/?(?:\[([^\]]*)\])?")
_TESTS = re.compile(r"test|unit|\bpy", re.IGNORECASE)
_DEEPEST = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class TestDependencies:
    """What one runner's file names."""

    requirements: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """Requirements files of the tree."""
    extras: tuple[str, ...] = ()
    """Extras of the tree's own project."""
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.requirements or self.files or self.extras)


def of_tox(files: Mapping[str, bytes]) -> TestDependencies:
    """What tox.ini, setup.cfg, tox.toml and pyproject.toml say."""
    table = parse_toml("pyproject.toml", files.get("pyproject.toml")).get("tool", {}).get("tox", {})
    table = table if isinstance(table, dict) else {}
    ini = str(table.get("legacy_tox_ini") or "").encode() or files.get("tox.ini")
    sections = read_sections(ini) or read_sections(files.get("setup.cfg"))
    lines, extras = _of_sections(sections)
    modern = parse_toml("tox.toml", files.get("tox.toml")) or table
    for part in (modern.get("env_run_base"), modern.get("env", {}).get("test") if "env" in modern else None):
        if isinstance(part, dict):
            lines += [item for item in part.get("deps") or () if isinstance(item, str)]
            extras += [item for item in part.get("extras") or () if isinstance(item, str)]
    return _sorted_out((line for text in lines for line in _factored(text)), extras, "tox")


def of_nox(source: bytes) -> TestDependencies:
    """What a noxfile.py says."""
    try:
        module = parse_module(source)
    except (SyntaxError, ValueError, RecursionError):
        return TestDependencies(notes=("noxfile.py cannot be parsed, so its dependencies are not known.",))
    constants = _constants(module)
    sessions = [node for node in module.body if isinstance(node, ast.FunctionDef) and _is_session(node)]
    named = [node for node in sessions if _TESTS.search(node.name)]
    chosen = named or [node for node in sessions if re.search(r"['\"](?:pytest|unittest)['\"]", ast.unparse(node))]
    items: list[str] = []
    notes: list[str] = []
    for call in (call for node in chosen for call in _installs(node)):
        for argument in call.args:
            known = _literal(argument, constants)
            if known is None:
                notes.append(f"noxfile.py:{argument.lineno}: `{ast.unparse(argument)}` is only known when nox runs.")
            items += known or ()
    found = _sorted_out(_paired(items), [], "nox")
    return TestDependencies(
        requirements=found.requirements, files=found.files, extras=found.extras, notes=(*notes, *found.notes)
    )


def _of_sections(sections: Mapping[str, Mapping[str, str]]) -> tuple[list[str], list[str]]:
    chosen = [sections.get("testenv", {})]
    if "deps" not in chosen[0]:
        chosen += [part for name, part in sections.items() if name.startswith("testenv:") and _TESTS.search(name[8:])]
    lines, extras = [], []
    for part in chosen:
        lines += _resolved(part.get("deps", ""), sections).splitlines()
        extras += re.split(r"[\s,]+", _resolved(part.get("extras", ""), sections).strip())
    return lines, [extra for extra in extras if extra]


def _resolved(text: str, sections: Mapping[str, Mapping[str, str]]) -> str:
    """`text` with `{[section]key}` put in."""
    for _ in range(_DEEPEST):
        if not _REFERENCE.search(text):
            break
        text = _REFERENCE.sub(lambda match: sections.get(match[1], {}).get(match[2].strip(), ""), text)
    return text


def _factored(line: str) -> Iterator[str]:
    """The line without its condition, if that holds for this interpreter."""
    text = line.strip()
    match = _FACTORS.match(text)
    condition = (match[1] or match[2]) if match else ""
    if match is None or condition.count("{") != condition.count("}"):  # `{env:NAME}` is no condition
        yield text
        return
    ours = {"py", "py3", "cpython", "linux", "python", f"py{sys.version_info[0]}{sys.version_info[1]}"}
    ours |= {f"{sys.version_info[0]}.{sys.version_info[1]}", f"py{sys.version_info[0]}.{sys.version_info[1]}"}
    alternatives = condition.replace("{", "").replace("}", "").split(",")
    holds = any(
        all((factor.lstrip("!") in ours) != factor.startswith("!") for factor in each.split("-"))
        for each in alternatives
    )
    if holds:
        yield text[match.end() :].strip()


def _paired(items: Sequence[str]) -> Iterator[str]:
    """Arguments as lines of a requirements file: options with their values."""
    rest = list(items)
    while rest:
        item = rest.pop(0)
        if item in {"-r", "-c", "-e", "--requirement", "--constraint", "--editable"} and rest:
            item = f"{item} {rest.pop(0)}"
        yield item


def _sorted_out(lines: Iterable[str], extras: Iterable[str], tool: str) -> TestDependencies:
    requirements: list[str] = []
    files: list[str] = []
    wanted, notes = list(extras), []
    for raw in lines:
        line = re.sub(r"(^|\s)#.*", "", raw).replace("{toxinidir}/", "").replace("{toxinidir}", ".")
        line = line.replace("{tox_root}/", "").replace("{tox_root}", ".").strip()
        included = re.fullmatch(r"(?:-r|--requirement)[\s=]*(\S+)", line)
        local = _LOCAL.fullmatch(re.sub(r"^(?:-e|--editable)[\s=]*", "", line))
        if not line:
            continue
        if "{" in line:
            notes.append(f"{tool}: `{line}` is only known when {tool} runs.")
        elif included:
            files.append(included[1].removeprefix("./"))
        elif local:
            wanted += [extra.strip() for extra in (local[1] or "").split(",") if extra.strip()]
        elif re.match(r"[A-Za-z0-9]", line) and not re.match(r"[\w-]+\.(?:whl|zip)|\w+\+|\w+://", line):
            requirements.append(line)
        elif line not in {"-U", "-q", "--upgrade", "--quiet", "--no-cache-dir", "--upgrade-strategy", "eager"}:
            notes.append(f"{tool}: `{line}` is not installed.")
    return TestDependencies(
        requirements=tuple(dict.fromkeys(requirements)),
        files=tuple(dict.fromkeys(files)),
        extras=tuple(dict.fromkeys(wanted)),
        notes=tuple(notes),
    )


def _is_session(node: ast.FunctionDef) -> bool:
    return any("session" in ast.unparse(mark).lower() for mark in node.decorator_list)


def _installs(node: ast.FunctionDef) -> Iterator[ast.Call]:
    for call in (each for each in ast.walk(node) if isinstance(each, ast.Call)):
        if isinstance(call.func, ast.Attribute) and call.func.attr == "install":
            yield call


def _constants(module: ast.Module) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for node in module.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                continue
    return found


def _literal(node: ast.expr, constants: Mapping[str, Any]) -> list[str] | None:
    """The texts that an argument stands for, or None."""
    inner = node.value if isinstance(node, ast.Starred) else node
    try:
        value = constants[inner.id] if isinstance(inner, ast.Name) else ast.literal_eval(inner)
    except (KeyError, ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    if isinstance(value, str):
        return [value]
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return list(value)
    return None
