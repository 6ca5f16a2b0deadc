"""`spec explain`: what will be checked, in plain words, before anything is run.

Rules:
- Exits 2 when the spec contradicts itself or the base, 0 otherwise; what is only missing to accept a change is told.
- A program counts as there when it is on the search path of a sandbox.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from councilor.app import lay_out, open_repositories
from councilor.domain.codec import encode
from councilor.domain.limit import Limits, in_words
from councilor.domain.spec import load_spec
from councilor.pipeline.contradictions import Setting
from councilor.pipeline.explanation import Entry, Explanation, explain
from councilor.pipeline.rules import read_rules
from councilor.pipeline.submission import find_spec_text
from councilor.pipeline.terrain import read_terrain
from councilor.settings import Settings
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.output import Output, one_line
from councilor.surfaces.cli.session import AsJson, Session, execute

__all__ = ["explain_spec"]

SANDBOX_PATH = "/usr/local/bin:/usr/bin:/bin"


def explain_spec(
    context: typer.Context,
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A spec's id or file, or a sentence.")],
    repo: Annotated[Path, typer.Option("--repo", "-C", help="A folder of the repository.")] = Path(),
    base: Annotated[str, typer.Option(help="The commit that a change would start from.")] = "HEAD",
    as_json: AsJson = False,
) -> None:
    """Say what will be checked, what is missing to accept a change, and what cannot be satisfied."""

    async def body(session: Session) -> ExitCode:
        async with open_repositories(session.settings) as repositories:
            repository = await repositories.open(repo)
            commit = await repository.resolve(base)
            text, drafted = await find_spec_text(spec, repository, commit.tree, folder=Path.cwd(), number=1)
            found = load_spec(text, source=spec if not drafted else "the drafted spec")
            rules = await read_rules(repository, commit)
            async with lay_out(session.settings, repository, commit.tree) as folder:
                paths = [entry.path for entry in await repository.entries(commit.tree)]
                terrain = read_terrain(folder, paths)
        setting = Setting(terrain=terrain, policy=rules.policy, has_program=_is_there)
        told = explain(found, rules, setting, now=datetime.now(UTC), given=_given(session.settings))
        session.output.result(encode(told))
        _show(told, session.output, base=commit.hash[:12], drafted=drafted)
        return ExitCode.BAD_INPUT if told.contradictions else ExitCode.ACCEPTED

    execute(context, as_json, body)


def _given(settings: Settings) -> Limits:
    run = settings.run
    return Limits(
        iterations=run.max_iterations, time_s=run.deadline_s, tokens=run.max_tokens, cost_usd=run.max_cost_usd
    )


def _is_there(program: str) -> bool:
    return shutil.which(program, path=SANDBOX_PATH) is not None


def _show(told: Explanation, output: Output, *, base: str, drafted: bool) -> None:
    output.line(f"{told.spec_id}: {one_line(told.title)}", style="bold")
    if drafted:
        output.line("A sentence was given, so this is the spec that `run` would draft of it.")
    output.line(f"A {told.mode} against {base}, tier {told.tier}: {told.tier_why}.")
    output.line(f"{told.files} of {told.all_files} files of the base may change:")
    for name, entries in (("in", told.scope_in), ("out", told.scope_out)):
        for item in entries:
            output.line(f"  {name}  {_entry(item)}")
    output.line(f"At most {told.budget.max_files} files and {told.budget.max_loc} lines ({told.budget_why}).")
    output.line(f"A run without flags may take at most {in_words(told.limits, told.limit_origins)}.")
    for text in told.overruled:
        output.line(f"  {text}", style="yellow")
    output.table(("gate", "a failure", "figures"), _gates(told), title="\nGates, in this order")
    output.table(("criterion", "then", "measured by"), _criteria(told), title="\nCriteria")
    if told.waivers:
        rows = [
            (item.id, item.gate, "lifts a failure" if item.lifts else "lifts nothing", item.why)
            for item in told.waivers
        ]
        output.table(("waiver", "gate", "", "why"), rows, title="\nWaivers")
    rows = [(kind.name, kind.wanted, "can be had" if kind.obtainable else "cannot", kind.how) for kind in told.quorum]
    output.table(
        ("evidence", "wanted", "here", "how"), rows, title=f"\nTo accept, the council needs P >= {told.threshold:g} and"
    )
    for against in told.contradictions:
        output.line(f"contradiction: {against.rule} {against.message}. {against.remediation}", style="bold red")
    for text in told.missing:
        output.line(f"missing: {text}", style="yellow")
    if not told.missing:
        output.line("Nothing is missing: a change can be accepted.", style="green")


def _entry(item: Entry) -> str:
    return f"{one_line(item.entry)}  ({item.files} files{'' if item.files else ', none yet'})"


def _gates(told: Explanation) -> Iterator[tuple[str, str, str]]:
    words = {"block": "blocks", "warn": "warns", "skip": "not run"}
    for gate in told.gates:
        origin = f" ({gate.origin})" if gate.origin != "default" else ""
        mode = f"{words[gate.mode]}{origin}" if gate.built else "not built in this release"
        yield gate.gate, mode, ", ".join(f"{item.name} {item.value} ({item.origin})" for item in gate.thresholds)


def _criteria(told: Explanation) -> Iterator[tuple[str, str, str]]:
    for item in told.criteria:
        first, *others = item.measured_by or ("nothing: it is for the worker to read",)
        yield item.id, one_line(item.then), one_line(first)
        yield from (("", "", one_line(text)) for text in others)
