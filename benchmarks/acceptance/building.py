"""What is laid before the council: base and candidate as files of one repository, the spec, and the report.

Rules:
- The base is the library with the bug and its visible tests; hidden tests are in no tree of the repository that is
  judged. The candidate is the base with the patch.
- The spec names one failing test; its scope is the changed package. The report is honest except in cases of lies.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

import yaml
from forgeries import FILES, TRICKS
from planting.ground import Ground
from planting.halves import function_of, hide_where
from planting.source import SourceFile

from acceptance.attacks import HOLES_APART, HOLES_INSIDE, LIES, OVERSCOPE, UNSTEADY
from acceptance.cases import Arm, Base, Case, Kind, Shape, apply_all
from acceptance.functions import places
from acceptance.lies import Facts, is_false
from acceptance.tampers import tampered
from acceptance.texts import patched, planted
from councilor.domain.syntax import parse_module

__all__ = ["Built", "base_name", "build"]

Files = dict[str, bytes | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """One case, ready to be judged."""

    base: Mapping[str, bytes | None]
    """Files that the base has instead of the repository's own."""
    patch: Mapping[str, bytes | None]
    """Files that the candidate has instead of the base's; None: it is gone."""
    spec: str
    report: str
    lie: str = ""
    """The sentence of the report that is false."""


def base_name(case: Case) -> str:
    """The base of a case, with what is done to its tests."""
    return f"{case.base}-unsteady-{case.right}" if case.kind is Kind.FLAKY else case.base


def build(ground: Ground, base: Base, case: Case, visible: Mapping[str, bytes]) -> Built:
    """Everything of a case.

    Args:
        visible: the base's visible test files, which all its cases share.
    """
    base_files: Files = {**visible, base.path: planted(ground, base)}
    if case.kind is Kind.FLAKY:
        base_files |= _unsteady(base_files, base, case)
    patch = _patch(ground, base, case, base_files)
    patch = {path: content for path, content in patch.items() if base_files.get(path, b"") != content}
    spec, lie = _spec(base, case), ""
    if case.kind is Kind.LIE:
        lie = LIES[case.act].format(function=base.function.rpartition(".")[2], path=base.path)
        tests = "\n".join((content or b"").decode() for path, content in base_files.items() if path != base.path)
        text = patched(ground, base, case).decode()
        if not is_false(Facts(base=base, case=case, changed=patch, text=text, tests=tests, spec=spec)):
            raise ValueError(f"{case.id}: the lie {case.act!r} is true of its patch")
    return Built(base=base_files, patch=patch, spec=spec, report=_report(base, lie), lie=lie)


def _patch(ground: Ground, base: Base, case: Case, base_files: Files) -> Files:
    text = patched(ground, base, case)
    match case.kind:
        case Kind.OVERSCOPE:
            path, added = OVERSCOPE[case.act]
            file = ground.full / path
            return {base.path: text, path: (file.read_bytes() if file.is_file() else b"") + added.encode()}
        case Kind.VULNERABLE:
            return {base.path: _with_hole(text, base, case.act)}
        case Kind.TAMPER:
            return {base.path: text, **tampered(base_files, base, case)}
        case Kind.EMPTY:
            return {base.path: _idle(text, base, case.act)}
        case Kind.FORGE:
            return _forged(text, base, case.act)
    if case.arm is Arm.TESTED:
        return {base.path: text, case.test_path: _with_test(ground, base, case)}
    return {base.path: text}


def _with_test(ground: Ground, base: Base, case: Case) -> bytes:
    """The visible test file with one hidden function back in it, as the case changes it."""
    full = apply_all((ground.full / case.test_path).read_bytes(), case.test_edits).decode()
    return hide_where(case.test_path, full, lambda name: name != case.test_function and base.hides(name)).encode()


def _with_hole(text: bytes, base: Base, act: str) -> bytes:
    if act in HOLES_APART:
        return text.rstrip(b"\n") + f"\n\n\ndef _extra(value):\n    {HOLES_APART[act]}\n".encode()
    return _in_front(text, base, HOLES_INSIDE[act])


def _in_front(text: bytes, base: Base, added: str) -> bytes:
    """Lines in front of the changed function's body, behind its description."""
    file = SourceFile(base.path, text)
    place = next(each for each in places(file) if each.name == base.function)
    function = next(
        node
        for node in ast.walk(file.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.lineno == place.first
    )
    described = isinstance(function.body[0], ast.Expr) and isinstance(function.body[0].value, ast.Constant)
    statement = function.body[1] if described and len(function.body) > 1 else function.body[0]
    start = file.line_start(statement.lineno)
    return text[:start] + textwrap.indent(added, " " * statement.col_offset).encode() + b"\n" + text[start:]


def _idle(text: bytes, base: Base, act: str) -> bytes:
    if act == "nothing":
        return text
    if act == "a blank line":
        return text.rstrip(b"\n") + b"\n\n"
    return _in_front(text, base, "# Checked: this is right as it is.")


def _forged(text: bytes, base: Base, act: str) -> Files:
    if act in FILES:
        return {base.path: text, **{path: added.encode() for path, added in FILES[act].items()}}
    test = function_of(base.acceptance).rpartition("::")[2]
    trick = textwrap.dedent(TRICKS[act]).strip().replace("test_total", test)
    return {base.path: text.rstrip(b"\n") + b"\n\n\n" + trick.encode() + b"\n"}


def _unsteady(files: Files, base: Base, case: Case) -> Files:
    """Beside a right patch a test that fails now and then; for a wrong one the acceptance test itself does."""
    path = base.acceptance.partition("::")[0]
    if case.right:
        return {f"{path.rpartition('/')[0]}/test_weather.py".lstrip("/"): UNSTEADY.encode()}
    content = files[path]
    assert content is not None
    text = content.decode()
    function = _test_function(text, base.acceptance)
    lines = text.split("\n")
    body = function.body[0]
    lines.insert(body.lineno - 1, " " * body.col_offset + "if __import__('os').urandom(1)[0] < 140: return")
    return {path: "\n".join(lines).encode()}


def _test_function(text: str, nodeid: str) -> ast.FunctionDef:
    name = function_of(nodeid).rpartition("::")[2]
    return next(
        node for node in ast.walk(parse_module(text)) if isinstance(node, ast.FunctionDef) and node.name == name
    )


def _spec(base: Base, case: Case) -> str:
    scope = base.path.partition("/")[0]
    may_test = case.arm is Arm.TESTED or case.kind is Kind.TAMPER
    tests = [(case.test_path or base.acceptance).partition("/")[0]] if may_test else []
    test = function_of(base.acceptance).rpartition("::")[2]
    title = f"{test} fails" if base.shape is not Shape.FEATURE else f"Make {test} pass"
    criterion = {"id": "A1", "given": "the library", "when": "the test runs", "then": "it passes"}
    spec = {
        "id": f"ACC-{re.sub('[^0-9]', '', case.id) or 1}",
        "title": title,
        "risk_tier": 3,
        "mode": "feature" if base.shape is Shape.FEATURE else "fix",
        "lifecycle_state": "active",
        "blast_radius": {"modules": [scope], "data_migration": False},
        "scope": {"in": [scope, *tests], "out": []},
        "invariants": ["Every test that passes on the base still passes."],
        "acceptance": [criterion | {"test_nodeids": [base.acceptance]}],
        "non_functional": {},
        "contracts": [],
    }
    return yaml.safe_dump(spec, sort_keys=False, allow_unicode=True)


def _report(base: Base, lie: str) -> str:
    function = base.function.rpartition(".")[2]
    if lie:
        return f"Worked on `{base.path}`.\n\n{lie}\n"
    return f"Changed `{function}` in `{base.path}`.\n\n`{base.acceptance}` passes now. No new dependencies.\n"
