"""The working spec: what is asked, where, how risky it is, and how one knows that it is done.

Rules (docs/reference/spec.md explains each):
- SPEC-1 readable YAML; SPEC-2 no unknown key; SPEC-3 required keys; SPEC-4 types and values; SPEC-5 the id's form.
- SPEC-6 `scope.in` is not empty; SPEC-7 no glob in `scope.out`; SPEC-12 paths are clean and patterns understood.
- SPEC-8 tier 1 needs operational_rollback_slo, observability and rollback; SPEC-9 tiers 1-2 need contracts.
- SPEC-10 experimental mode only in tier 3; SPEC-11 acceptance ids are `A<n>` and unique.
- SPEC-13 node ids name a test file, and never begin with `-`.

It does not judge whether a lifecycle state allows work, or whether a criterion can be measured: the gate
`spec_completeness` does. `environment` (`install`, `reports`) and `limits` are extensions of ours; the standard has no
place for them.
Source: CAWS (Coding Agent Working Standard), version 11, `.caws/specs/<ID>.yaml`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import yaml
from pydantic import Field

from councilor.domain.document import Line, Problem, Record, Text, as_violation, read_document, refusal
from councilor.domain.gate import Violation
from councilor.domain.limit import Limits
from councilor.domain.report import ReportOrder
from councilor.domain.scope import check_entry, is_glob
from councilor.errors import InputError

__all__ = ["Acceptance", "Contract", "LifecycleState", "Mode", "Scope", "WorkingSpec"]
__all__ += ["check_spec", "draft_spec", "load_spec"]

TITLE_LIMIT = 200
ID_PATTERN = re.compile(r"[A-Z][A-Z0-9]*(-[A-Z0-9]+)*-\d+[a-z]*")


class Mode(StrEnum):
    """What sort of change is asked."""

    FEATURE = "feature"
    REFACTOR = "refactor"
    FIX = "fix"
    DOC = "doc"
    CHORE = "chore"


class LifecycleState(StrEnum):
    """Where the spec itself stands."""

    DRAFT = "draft"
    ACTIVE = "active"
    CLOSED = "closed"
    ARCHIVED = "archived"


class BlastRadius(Record):
    """What may be affected."""

    modules: Annotated[tuple[Text, ...], Field(min_length=1)]
    data_migration: bool = False


class Scope(Record):
    """Where the change may happen."""

    in_: tuple[str, ...] = Field(alias="in")
    """Prefixes and globs that a changed path must match."""
    out: tuple[str, ...] = ()
    """Prefixes that no changed path may match; wins over `in_`."""


class Acceptance(Record):
    """One acceptance criterion."""

    id: str
    """`A1`, `A2`, ..."""
    given: Text
    when: Text
    then: Text
    test_command: Line | None = None
    """A command that exits 0 when the criterion holds."""
    test_nodeids: tuple[str, ...] = ()
    """Tests that pass when the criterion holds."""
    evidence: Any = None
    narrative: str | None = None

    @property
    def argv(self) -> tuple[str, ...]:
        """`test_command` as arguments; no shell sees it."""
        return tuple(shlex.split(self.test_command)) if self.test_command else ()


class NonFunctional(Record):
    """Requirements beyond function; free form."""

    performance: Any = None
    security: Any = None
    accessibility: Any = None
    reliability: Any = None


class ContractType(StrEnum):
    """What sort of contract it is."""

    API = "api"
    SCHEMA = "schema"
    CONTRACT_TEST = "contract-test"
    BEHAVIOR = "behavior"


class Contract(Record):
    """One contract that the change must keep."""

    name: Line
    type: ContractType
    path: Line | None = None
    description: str | None = None


class ExperimentalMode(Record):
    """Relaxed rules for a while; tier 3 only."""

    enabled: bool
    rationale: Text
    expires_at: datetime | None = None


class EnvironmentOrder(Record):
    """How the dependencies get there: an extension of ours."""

    install: Line | None = None
    """A command that installs into the active environment."""
    reports: ReportOrder | None = None
    """What the criteria's commands write for our runner to read."""


class LimitOrder(Record):
    """What a run of the spec may take at most: an extension of ours."""

    iterations: Annotated[int, Field(ge=1)] | None = None
    time_s: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None
    tokens: Annotated[int, Field(ge=1)] | None = None
    cost_usd: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @property
    def wished(self) -> Limits:
        """As limits."""
        return Limits(iterations=self.iterations, time_s=self.time_s, tokens=self.tokens, cost_usd=self.cost_usd)


class WorkingSpec(Record):
    """A whole working spec, checked."""

    id: str
    title: Annotated[Line, Field(max_length=TITLE_LIMIT)]
    risk_tier: Annotated[int, Field(ge=1, le=3)]
    mode: Mode
    lifecycle_state: LifecycleState
    blast_radius: BlastRadius
    scope: Scope
    invariants: Annotated[tuple[Text, ...], Field(min_length=1)]
    acceptance: Annotated[tuple[Acceptance, ...], Field(min_length=1)]
    non_functional: NonFunctional
    contracts: tuple[Contract, ...]
    resolution: str | None = None
    blockers: Any = None
    supersedes: Any = None
    superseded_by: Any = None
    successors: Any = None
    worktree: str | None = None
    operational_rollback_slo: Line | None = None
    observability: Any = None
    rollback: Any = None
    experimental_mode: ExperimentalMode | None = None
    created_at: str | None = None
    updated_at: str | None = None
    owner: str | None = None
    closure_notes: str | None = None
    environment: EnvironmentOrder | None = None
    limits: LimitOrder | None = None

    @property
    def wished(self) -> Limits:
        """The limits that the spec asks for; which of them hold, `limit.py` says."""
        return self.limits.wished if self.limits else Limits()

    @property
    def install(self) -> str | None:
        """The command that installs the repository's dependencies, if the spec names one."""
        return self.environment.install if self.environment else None

    @property
    def reports(self) -> ReportOrder | None:
        """The reports that the criteria's commands write, if the spec names any."""
        return self.environment.reports if self.environment else None

    @property
    def acceptance_nodeids(self) -> tuple[str, ...]:
        """Every test that some criterion names, in order, each once."""
        return tuple(dict.fromkeys(nodeid for item in self.acceptance for nodeid in item.test_nodeids))


def _rule_of(problem: Problem) -> str:
    if problem.kind.startswith("SPEC-"):
        return problem.kind
    return {"syntax": "SPEC-1", "unknown": "SPEC-2", "missing": "SPEC-3"}.get(problem.kind, "SPEC-4")


def _scope_problems(scope: Scope) -> Iterator[Problem]:
    if not scope.in_:
        yield Problem(
            "SPEC-6", "it is empty, so nothing could be changed", field="scope.in", hint="Name a folder or a glob."
        )
    for name, entries in (("in", scope.in_), ("out", scope.out)):
        for index, entry in enumerate(entries):
            field = f"scope.{name}[{index}]"
            if name == "out" and is_glob(entry):
                yield Problem("SPEC-7", f"{entry!r} is a glob", field=field, hint="Write a directory prefix.")
            elif reason := check_entry(entry):
                yield Problem("SPEC-12", f"{entry!r}: {reason}", field=field, hint="Correct the entry.")


def _acceptance_problems(items: Sequence[Acceptance]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, item in enumerate(items):
        field = f"acceptance[{index}]"
        if not re.fullmatch(r"A[0-9]+", item.id) or item.id in seen:
            reason = "occurs twice" if item.id in seen else "is not `A` and a number"
            yield Problem("SPEC-11", f"{item.id!r} {reason}", field=f"{field}.id", hint="Number them A1, A2, ...")
        seen.add(item.id)
        for number, nodeid in enumerate(item.test_nodeids):
            if wrong := _bad_nodeid(nodeid):
                hint = "Write it as pytest prints it: `tests/test_x.py::test_y`."
                yield Problem("SPEC-13", f"{nodeid!r} {wrong}", field=f"{field}.test_nodeids[{number}]", hint=hint)
        if fault := _bad_command(item):
            yield Problem("SPEC-4", fault, field=f"{field}.test_command", hint="Write a program and its arguments.")


def _environment_problems(spec: WorkingSpec) -> Iterator[Problem]:
    if spec.environment is None:
        return
    if spec.environment.install is None and spec.environment.reports is None:
        yield Problem("SPEC-3", "it is empty", field="environment", hint="Name `install` or `reports`, or remove it.")
    if (reports := spec.environment.reports) is None:
        return
    if not reports.paths:
        yield Problem(
            "SPEC-3", "it names no report", field="environment.reports", hint="Name junit, coverage or sarif."
        )
    elif not any(item.test_command for item in spec.acceptance):
        hint = "Give a criterion a test_command that writes them."
        yield Problem(
            "SPEC-3", "no criterion has a command that could write it", field="environment.reports", hint=hint
        )
    for name, fault in reports.faults():
        hint = "Write a plain relative path, such as `reports/junit.xml`."
        yield Problem("SPEC-12", fault, field=f"environment.reports.{name}", hint=hint)


def _limits_problems(spec: WorkingSpec, known: Sequence[Problem]) -> Iterator[Problem]:
    misspelt = any(problem.field.startswith("limits.") for problem in known)
    if spec.limits is not None and spec.wished == Limits() and not misspelt:
        hint = "Name `iterations`, `time_s`, `tokens` or `cost_usd`, or remove it."
        yield Problem("SPEC-3", "it is empty", field="limits", hint=hint)


def _bad_command(item: Acceptance) -> str | None:
    try:
        return "it is only a comment" if item.test_command and not item.argv else None
    except ValueError as error:
        return str(error)


def _bad_nodeid(nodeid: str) -> str | None:
    path = nodeid.split("::", 1)[0]
    if nodeid.startswith("-") or any(ord(char) < 32 for char in nodeid):
        return "begins with `-` or holds a control character"
    if "::" not in nodeid or check_entry(path) or not path.endswith(".py"):
        return "is not a Python test file, `::`, and a test's name"
    return None


def _tier_problems(spec: WorkingSpec) -> Iterator[Problem]:
    if spec.risk_tier == 1:
        for name in ("operational_rollback_slo", "observability", "rollback"):
            if not getattr(spec, name):
                yield Problem("SPEC-8", "a tier 1 spec needs it", field=name, hint=f"Add {name!r}.")
    if spec.risk_tier <= 2 and not spec.contracts:
        hint = "Name at least one contract, such as `{name: public API, type: api}`."
        yield Problem("SPEC-9", f"a tier {spec.risk_tier} spec needs one", field="contracts", hint=hint)
    if spec.experimental_mode and spec.experimental_mode.enabled and spec.risk_tier != 3:
        yield Problem("SPEC-10", "it is for tier 3 only", field="experimental_mode", hint="Remove it.")


def _read(text: str) -> tuple[WorkingSpec | None, tuple[Problem, ...]]:
    spec, problems = read_document(text, WorkingSpec)
    if spec is None:
        return None, problems
    found = [
        *problems,
        *_tier_problems(spec),
        *_scope_problems(spec.scope),
        *_acceptance_problems(spec.acceptance),
        *_environment_problems(spec),
        *_limits_problems(spec, problems),
    ]
    if not ID_PATTERN.fullmatch(spec.id):
        hint = "Write capitals, a dash and a number, such as `FIX-12`."
        found.insert(0, Problem("SPEC-5", f"{spec.id!r} is not an id", field="id", hint=hint))
    return (None if found else spec), tuple(found)


def check_spec(text: str, *, source: str = "spec") -> tuple[Violation, ...]:
    """Everything that is wrong with a spec's text; empty when `load_spec` would accept it."""
    return tuple(as_violation(problem, rule=_rule_of(problem), source=source) for problem in _read(text)[1])


def load_spec(text: str, *, source: str) -> WorkingSpec:
    """The working spec that a YAML text holds.

    Args:
        source: where the text came from, for messages, such as `.caws/specs/FIX-1.yaml`.

    Raises:
        InputError: the first problem, with its field and rule id.
    """
    spec, problems = _read(text)
    if spec is None:
        raise refusal(problems, rules=_rule_of, source=source)
    return spec


def draft_spec(
    title: str, *, number: int, paths: Sequence[str] = (), nodeids: Sequence[str] = (), test_command: str | None = None
) -> str:
    """A tier 3 working spec as YAML, for a task that is one line of text.

    Args:
        title: the task; made one line, and cut at 200 characters.
        number: makes the id, `TASK-<number>`.
        paths: `scope.in`; without any, the whole repository.
        nodeids: tests that pass when the task is done.
        test_command: a command that exits 0 when the task is done.

    Raises:
        InputError: the title is empty, or an argument does not fit its field.
    """
    line = " ".join("".join(char if char.isprintable() else " " for char in title).split())
    if not line:
        raise InputError("The task's text is empty.", field="title", rule="SPEC-4")
    line = line if len(line) <= TITLE_LIMIT else line[: TITLE_LIMIT - 3] + "..."
    criterion = {"id": "A1", "given": "the repository at its base commit", "when": line, "then": "the task is done"}
    measured: dict[str, Any] = {"test_nodeids": list(nodeids)} if nodeids else {}
    measured |= {"test_command": test_command} if test_command else {}
    text = yaml.safe_dump(
        {
            "id": f"TASK-{number}",
            "title": line,
            "risk_tier": 3,
            "mode": "fix",
            "lifecycle_state": "draft",
            "blast_radius": {"modules": list(paths) or ["the whole repository"], "data_migration": False},
            "scope": {"in": list(paths) or ["**"], "out": []},
            "invariants": ["Every test that passes on the base still passes."],
            "acceptance": [criterion | measured],
            "non_functional": {},
            "contracts": [],
        },
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )
    load_spec(text, source="drafted spec")
    return text
