"""What the source emits and what the catalogue declares are the same, both ways."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from councilor.domain.metric import CATALOGUE, MetricKind

SOURCE = Path(__file__).resolve().parents[2] / "src" / "councilor"
KINDS = {str(kind) for kind in MetricKind}
# These hand on names that they were given, besides what they emit of their own.
FORWARDING = ("adapters/memory/metrics.py", "guards/instruments.py", "guards/fanout.py")

STEP = re.compile(r"""(?:steps\.run\(\s*|name = |^ {16})f?"([a-z]+)(?=[:"])""", re.MULTILINE)
"""How a step is named where it is run."""


@dataclass(frozen=True)
class Emit:
    place: str
    kind: str
    name: str | None
    labels: frozenset[str] | None


def emits() -> list[Emit]:
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in KINDS:
                place = f"{path.relative_to(SOURCE)}:{node.lineno}"
                found.append(Emit(place, node.func.attr, name_of(node), labels_of(node)))
    return found


def name_of(call: ast.Call) -> str | None:
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def labels_of(call: ast.Call) -> frozenset[str] | None:
    """The label names, where they are written out at the call."""
    given = call.args[1] if len(call.args) > 1 else None
    if not isinstance(given, ast.Dict) or not all(isinstance(key, ast.Constant) for key in given.keys):
        return None
    return frozenset(str(key.value) for key in given.keys if isinstance(key, ast.Constant))


def test_every_emit_names_its_metric_literally():
    assert [emit.place for emit in emits() if emit.name is None and not emit.place.startswith(FORWARDING)] == []


def test_every_emitted_name_is_in_the_catalogue():
    assert [(emit.place, emit.name) for emit in emits() if emit.name and emit.name not in CATALOGUE] == []


def test_every_emit_has_its_metrics_kind_and_labels():
    wrong = []
    for emit in emits():
        metric = CATALOGUE.get(emit.name or "")
        if metric and (emit.kind != metric.kind or (emit.labels is not None and emit.labels - metric.label_names)):
            wrong.append((emit.place, emit.name, emit.kind, emit.labels))
    assert wrong == []


def test_every_catalogue_entry_is_emitted_somewhere():
    assert sorted(CATALOGUE.keys() - {emit.name for emit in emits()}) == []


def test_every_git_operation_has_a_series_of_its_own():
    source = (SOURCE / "adapters" / "git" / "repository.py").read_text(encoding="utf-8")
    operations = {
        node.args[0].value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_timed"
        if isinstance(node.args[0], ast.Constant)
    }
    (label,) = CATALOGUE["v3.repository.seconds"].labels
    assert 10 < len(operations) <= label.cap


def test_every_step_has_room_among_the_steps():
    folder = SOURCE / "pipeline" / "executor"
    names = {name for path in folder.glob("*.py") for name in STEP.findall(path.read_text(encoding="utf-8"))}
    step = CATALOGUE["v3.engine.step"].labels[0]
    assert {"work", "deliberate", "choose", "rivals", "finish"} <= names
    assert len(names) <= step.cap
