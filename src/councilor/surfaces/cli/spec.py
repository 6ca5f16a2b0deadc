"""`spec init`, `spec validate` and `spec explain`: working specs before they are used."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from councilor.app import lay_out, open_repositories
from councilor.domain.codec import encode
from councilor.domain.spec import check_spec
from councilor.domain.specdraft import SpecDraft
from councilor.errors import InputError
from councilor.pipeline.drafting import Wish, draft
from councilor.pipeline.rules import read_rules
from councilor.pipeline.terrain import Terrain, read_terrain
from councilor.ports.repository import Repository
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.explain import explain_spec
from councilor.surfaces.cli.session import AsJson, Session, execute

__all__ = ["spec_app"]

spec_app = typer.Typer(help="Working specs.", no_args_is_help=True)
spec_app.command("explain")(explain_spec)

SPECS = Path(".caws") / "specs"


@spec_app.command("init")
def init(
    context: typer.Context,
    sentence: Annotated[str, typer.Argument(help="The task in one sentence.")],
    number: Annotated[int | None, typer.Option(min=1, help="Makes the id TASK-<number>; else the next free.")] = None,
    path: Annotated[list[str] | None, typer.Option(help="What may be changed (scope.in); repeatable.")] = None,
    test: Annotated[list[str] | None, typer.Option(help="Node id of a test that must pass; repeatable.")] = None,
    repo: Annotated[Path, typer.Option("--repo", "-C", "--folder", help="A folder of the repository.")] = Path(),
    base: Annotated[str, typer.Option(help="The commit that is looked at.")] = "HEAD",
    write: Annotated[
        bool, typer.Option("--write", help="Write it to .caws/specs/, to be edited and committed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Draft a spec from a sentence and the repository; every guess says why, and what to check."""

    async def body(session: Session) -> ExitCode:
        async with open_repositories(session.settings) as repositories:
            repository = await repositories.open(repo)
            found = await _draft(
                repository, sentence, number=number, paths=path or (), nodeids=test or (), base=base, session=session
            )
            root = repository.root
        text = found.text()
        target = _write(root, found.id, text) if write else None
        session.output.result(
            {
                "id": found.id,
                "path": str(target) if target else None,
                "spec": text,
                "guesses": [encode(guess) for guess in found.guesses],
            }
        )
        if target is None:
            session.output.raw(text.encode())
            session.output.note(f"Nothing was written; --write puts it into {SPECS}.")
        else:
            session.output.line(f"Wrote {target}. Check its comments, commit it, then: councilor run {found.id}")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


async def _draft(
    repository: Repository,
    sentence: str,
    *,
    number: int | None,
    paths: Iterable[str],
    nodeids: Iterable[str],
    base: str,
    session: Session,
) -> SpecDraft:
    commit = await repository.resolve(base)
    policy = (await read_rules(repository, commit)).policy
    async with lay_out(session.settings, repository, commit.tree) as folder:
        terrain = read_terrain(folder, [entry.path for entry in await repository.entries(commit.tree)])
    wish = Wish(
        sentence=sentence,
        number=number or _free_number(repository.root, terrain),
        paths=tuple(paths),
        nodeids=tuple(nodeids),
    )
    return draft(wish, terrain, policy, at=commit.hash[:12])


def _free_number(root: Path, terrain: Terrain) -> int:
    """The lowest number that is above those of all drafted specs, committed or not."""
    names = [*terrain.paths, *(str(file.relative_to(root)) for file in (root / SPECS).glob("TASK-*"))]
    taken = [re.fullmatch(r"\.caws/specs/TASK-(\d{1,9})\.ya?ml", name) for name in names]
    return max((int(found[1]) for found in taken if found), default=0) + 1


def _write(root: Path, spec_id: str, text: str) -> Path:
    target = root / SPECS / f"{spec_id}.yaml"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise InputError(f"{target} exists.", field="number", hint="Choose another --number.") from error
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error}", field="repo") from error
    return target


@spec_app.command("validate")
def validate(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Spec files.")],
    as_json: AsJson = False,
) -> None:
    """Say everything that is wrong with spec files."""

    async def body(session: Session) -> ExitCode:
        problems = {}
        for file in files:
            try:
                text = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"The spec {file} cannot be read: {error}", field="files") from error
            problems[str(file)] = check_spec(text, source=str(file))
        session.output.result({name: [encode(item) for item in found] for name, found in problems.items()})
        for name, found in problems.items():
            session.output.line(f"{name}: {'valid' if not found else f'{len(found)} problem(s)'}")
            for item in found:
                session.output.line(f"  {item.rule} {item.message} {item.remediation}")
        return ExitCode.BAD_INPUT if any(problems.values()) else ExitCode.ACCEPTED

    execute(context, as_json, body)
