"""`spec init` and `spec validate`: working specs before they are used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from councilor.domain.codec import encode
from councilor.domain.spec import check_spec, draft_spec, load_spec
from councilor.errors import InputError
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.session import AsJson, Session, execute

__all__ = ["spec_app"]

spec_app = typer.Typer(help="Working specs.", no_args_is_help=True)


@spec_app.command("init")
def init(
    context: typer.Context,
    title: Annotated[str, typer.Argument(help="The task in one sentence.")],
    number: Annotated[int, typer.Option(min=1, help="Makes the id TASK-<number>.")] = 1,
    path: Annotated[list[str] | None, typer.Option(help="What may be changed (scope.in); repeatable.")] = None,
    test: Annotated[list[str] | None, typer.Option(help="Node id of a test that must pass; repeatable.")] = None,
    folder: Annotated[Path, typer.Option(help="The repository's top folder.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Write a draft spec to .caws/specs/, to be edited and committed."""

    async def body(session: Session) -> ExitCode:
        text = draft_spec(title, number=number, paths=path or (), nodeids=test or ())
        spec = load_spec(text, source="the draft")
        target = folder / ".caws" / "specs" / f"{spec.id}.yaml"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8") as stream:
                stream.write(text)
        except FileExistsError as error:
            raise InputError(f"{target} exists.", field="number", hint="Choose another --number.") from error
        except OSError as error:
            raise InputError(f"{target} cannot be written: {error}", field="folder") from error
        session.output.result({"id": spec.id, "path": str(target)})
        session.output.line(f"Wrote {target}. Edit it, commit it, then: councilor run {spec.id}")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


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
