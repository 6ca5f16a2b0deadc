"""`questions` and `answer`: what the council would have to know about a candidate, and somebody saying it."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from councilor.app import open_store
from councilor.app.answering import record_answer
from councilor.domain.codec import encode
from councilor.domain.question import Question, parse_answer, quoted
from councilor.pipeline.questions import stored_questions
from councilor.surfaces.cli.exits import ExitCode, exit_of_state
from councilor.surfaces.cli.observed import open_observed_service
from councilor.surfaces.cli.outcome import show_outcome
from councilor.surfaces.cli.output import Output
from councilor.surfaces.cli.session import AsJson, Session, execute, find_task
from councilor.surfaces.cli.watching import execute_watched

__all__ = ["answer", "questions"]

TaskName = Annotated[str, typer.Argument(metavar="TASK", help="`last`, a task's id, or its beginning or end.")]
SHOWN = 5


def questions(context: typer.Context, task: TaskName, as_json: AsJson = False) -> None:
    """Show the questions about a task's candidate: calls on which others that pass the same tests differ from it."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            task_id = await find_task(store.events, task)
            _, found = await stored_questions(store.ledger(), task_id)
        session.output.result({"task_id": task_id, "questions": [encode(each) | {"text": each.text} for each in found]})
        for each in found:
            _show(each, session.output)
        if not found:
            session.output.line("There is no question about this task's candidate.")
        else:
            session.output.note(
                f"Answer: councilor answer {task_id} --expect candidate|alternative|neither|VALUE|raises:NAME"
            )
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def _show(question: Question, output: Output) -> None:
    output.line(f"{question.id}: {question.text}")
    for line in (*question.imports, *question.setup):
        output.line(f"    {quoted(line, 200)[1:-1]}")
    output.line(f"    {quoted(question.call, 200)[1:-1]}")
    for each in question.tells[:SHOWN]:
        where = f" ({each.path}:{each.line})" if each.line else ""
        output.line(f"    told apart: {each.kind}{where}, which {each.description}")
    if len(question.tells) > SHOWN:
        output.line(f"    and {len(question.tells) - SHOWN} more")


def answer(
    context: typer.Context,
    task: TaskName,
    expect: Annotated[
        str, typer.Option(help="`candidate`, `alternative`, `neither`, a Python literal, or `raises:NAME`.")
    ],
    question: Annotated[
        str | None, typer.Argument(metavar="QUESTION", help="Such as Q1; the first when left out.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who answers; your user name when left out.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for another run on the same repository.")] = False,
    as_json: AsJson = False,
) -> None:
    """Answer a question; the answer becomes a test, and the council judges the same candidate again."""

    async def body(session: Session) -> ExitCode:
        said = parse_answer(expect, by=by or getpass.getuser())
        async with open_observed_service(session.settings) as service:
            task_id = await find_task(service.store.events, task)
            head = await service.store.events.head(task_id)
            assert head is not None, "find_task only finds tasks that have a head"
            async with service.tools.hold(Path(head.repository), wait=wait):
                again = await record_answer(service, task_id, question, said)
                session.output.note(f"task {again.id} judges the candidate of {task_id} again")
                outcome = await execute_watched(service, again.id, session.output, resumed=False)
            session.output.result(encode(outcome) | {"follows": task_id})
            await show_outcome(service.store, outcome, session.output)
            return exit_of_state(outcome.state)

    execute(context, as_json, body)
