"""What makes a working spec impossible to satisfy, whatever a worker does; each with a rule.

Rules:
- UNSAT-1: `scope.out` takes out all that `scope.in` lets in. UNSAT-2: a criterion needs a file that the base does not
  have and that may not be made. UNSAT-3: it needs a test that its file does not hold, and the file may not be changed.
- UNSAT-4: the program of a criterion's command is not there, and nothing could bring it along. UNSAT-5: the budget
  allows fewer files than have to be changed. UNSAT-6: a report's path is a file of the base, so no run could make it.

It reads paths and source text only, and judges no change: `pipeline/gates/` does. That a spec is not contradictory does
not mean that it can be satisfied.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from councilor.domain.gate import Severity, Violation
from councilor.domain.policy import Budget, Policy
from councilor.domain.scope import admits, is_glob, within
from councilor.domain.spec import Acceptance, Mode, WorkingSpec
from councilor.pipeline.rules import Rules
from councilor.pipeline.terrain import Terrain
from councilor.ports.repository import Repository

__all__ = ["Setting", "contradictions", "effective_budget", "may_change", "read_setting"]

CODE = re.compile(r"[\w./-]+\.(?:py|[cm]?jsx?|tsx?|go|rs|rb|sh)")
OWN_PROGRAMS = frozenset({"python", "python3", "pip"})
"""What every environment has."""
DEPENDENCIES = frozenset(
    {
        "pyproject.toml",
        "setup.py",
        "setup.cfg",
        "requirements.txt",
        "uv.lock",
        "poetry.lock",
        "Pipfile",
        "environment.yml",
    }
)
CHANGING = frozenset({Mode.FIX, Mode.FEATURE})
"""Modes whose new tests fail without a change of another file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What a spec is looked at against."""

    terrain: Terrain
    """The base's files."""
    policy: Policy
    """The base's; what it does not govern may be changed, whatever the scope lets in."""
    has_program: Callable[[str], bool]
    """Whether a program is on the search path of a sandbox."""


async def read_setting(spec: WorkingSpec, policy: Policy, repository: Repository, tree: str) -> Setting:
    """What is needed to look for contradictions in a tree, without laying it out; every program counts as there."""
    paths = [entry.path for entry in await repository.entries(tree)]
    texts = {}
    for path in dict.fromkeys(nodeid.partition("::")[0] for nodeid in spec.acceptance_nodeids):
        data = await repository.read(tree, path)
        texts[path] = (data or b"").decode("utf-8", "replace")
    terrain = Terrain(paths=tuple(paths), texts=texts)
    return Setting(terrain=terrain, policy=policy, has_program=lambda program: True)


def effective_budget(spec: WorkingSpec, rules: Rules, tier: int, now: datetime) -> tuple[Budget, tuple[str, ...]]:
    """The budget of a tier with what waivers add, and the ids of those waivers."""
    plain = rules.policy.budget(tier)
    ruling = rules.ruling(spec.id, "budget_limit", now=now)
    delta = ruling.delta
    budget = Budget(max_files=plain.max_files + delta.max_files, max_loc=plain.max_loc + delta.max_loc)
    return budget, ruling.ids


def contradictions(spec: WorkingSpec, setting: Setting, budget: Budget) -> tuple[Violation, ...]:
    """Everything that makes the spec impossible to satisfy.

    Args:
        budget: that of the effective tier, with what waivers add.
    """
    found = [*_scope(spec, setting.policy), *_budget(spec, setting, budget), *_reports(spec, setting)]
    for item in spec.acceptance:
        found += [*_tests(spec, item, setting), *_command(spec, item, setting)]
    return tuple(found)


def may_change(spec: WorkingSpec, path: str, policy: Policy) -> bool:
    """Whether a path may be changed or made."""
    scope = spec.scope
    inside = admits(path, inside=scope.in_, outside=()) or not policy.governs(path)
    return inside and not any(within(path, out) for out in scope.out)


def _broken(rule: str, message: str, remedy: str, *, path: str | None = None) -> Violation:
    return Violation(rule=rule, severity=Severity.HIGH, message=message, remediation=remedy, path=path)


def _scope(spec: WorkingSpec, policy: Policy) -> Iterator[Violation]:
    scope = spec.scope
    if policy.non_governed_zones or policy.root_passthrough:
        return  # something may be changed whatever the scope says
    taken = [entry for entry in scope.in_ if any(within(_fixed(entry), out) for out in scope.out)]
    if taken and len(taken) == len(scope.in_):
        message = f"scope.out ({', '.join(scope.out)}) takes out all of scope.in ({', '.join(scope.in_)})"
        yield _broken("UNSAT-1", message, "Take the folder out of scope.out, or add another to scope.in.")


def _fixed(entry: str) -> str:
    """The folder that everything which an entry matches lies in; empty for anything."""
    if not is_glob(entry):
        return entry.removeprefix("./").rstrip("/")
    parts = []
    for part in entry.removeprefix("./").split("/"):
        if is_glob(part):
            break
        parts.append(part)
    return "/".join(parts)


def _tests(spec: WorkingSpec, item: Acceptance, setting: Setting) -> Iterator[Violation]:
    for nodeid in item.test_nodeids:
        path = nodeid.partition("::")[0]
        if may_change(spec, path, setting.policy) or setting.terrain.has_test(nodeid):
            continue
        if path not in setting.terrain.paths:
            message = f"{item.id}: the base has no {path}, and the scope does not let it be made"
            yield _broken("UNSAT-2", message, f"Commit it on the base, or add {path} to scope.in.", path=path)
        else:
            message = (
                f"{item.id}: {path} holds no {nodeid.partition('::')[2]}, and the scope does not let it be changed"
            )
            yield _broken("UNSAT-3", message, f"Correct the node id, or add {path} to scope.in.", path=path)


def _command(spec: WorkingSpec, item: Acceptance, setting: Setting) -> Iterator[Violation]:
    if not item.argv:
        return
    program, *arguments = item.argv
    if "/" in program and not program.startswith("/"):
        arguments = [program, *arguments]
    elif not setting.has_program(program) and program not in OWN_PROGRAMS and not _brings(spec, setting.terrain):
        message = f"{item.id}: the program {program} is not on this machine, and the repository has no dependencies"
        yield _broken("UNSAT-4", message, f"Install {program}, or name an environment.install that does.")
    for path in dict.fromkeys(argument.removeprefix("./") for argument in arguments if CODE.fullmatch(argument)):
        if path.startswith("/") or path in setting.terrain.paths or may_change(spec, path, setting.policy):
            continue
        message = (
            f"{item.id}: its command names {path}, which the base does not have and the scope does not let be made"
        )
        yield _broken(
            "UNSAT-2", message, f"Correct the command, commit the file, or add {path} to scope.in.", path=path
        )


def _brings(spec: WorkingSpec, terrain: Terrain) -> bool:
    """Whether the repository's dependencies could bring a program along."""
    return spec.install is not None or any(path.rpartition("/")[2] in DEPENDENCIES for path in terrain.paths)


def _budget(spec: WorkingSpec, setting: Setting, budget: Budget) -> Iterator[Violation]:
    files = {nodeid.partition("::")[0] for nodeid in spec.acceptance_nodeids if not setting.terrain.has_test(nodeid)}
    needed = len(files) + (bool(files) and spec.mode in CHANGING)
    if needed > budget.max_files:
        message = f"{needed} files have to be changed, and the budget is {budget.max_files}"
        yield _broken(
            "UNSAT-5", message, "Split the task, commit the tests on the base, or have a waiver with a delta."
        )


def _reports(spec: WorkingSpec, setting: Setting) -> Iterator[Violation]:
    for form, path in spec.reports.paths if spec.reports else ():
        if path in setting.terrain.paths:
            message = f"the {form.value} report {path} is a file of the base, so no run could make it"
            yield _broken(
                "UNSAT-6", message, "Take the file out of the base, or let the command write elsewhere.", path=path
            )
