"""The tools that a model may call: how they are told to it, and whether a call fits.

Rules:
- Arguments are one JSON object with the declared names and kinds. Numbers and truth values may come as text, and null
  is not given. Everything else is a `BadCallError` whose message tells the model what to do instead.
- Texts are bounded, hold no NUL character, and can be encoded.

It does not do anything: see `workbench.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from councilor.ports.conversation import ToolCall, ToolForm

__all__ = ["FORMS", "TOOLS", "BadCallError", "check_call", "recorded"]

TEXT_CHARACTERS = 400_000
PATH_CHARACTERS = 1000
COMMAND_CHARACTERS = 30_000
JSON_KINDS = {str: "string", int: "integer", bool: "boolean"}
NAME = re.compile(r"[^A-Za-z0-9_-]")
NAME_CHARACTERS = 64
"""Source: OpenAI API reference, `tools[].function.name`."""


class BadCallError(Exception):
    """A call that cannot be done as it is; the message is for the model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One argument of a tool."""

    name: str
    about: str
    kind: type[str] | type[int] | type[bool] = str
    required: bool = False
    most: int = PATH_CHARACTERS
    """Characters of a text, or the largest number."""
    choices: tuple[str, ...] = ()

    @property
    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        schema: dict[str, Any] = {"type": JSON_KINDS[self.kind], "description": self.about}
        return schema | ({"enum": list(self.choices)} if self.choices else {})


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """One tool."""

    name: str
    about: str
    parameters: tuple[Parameter, ...]

    @property
    def form(self) -> ToolForm:
        """As the model is told of it."""
        schema = {
            "type": "object",
            "properties": {item.name: item.schema for item in self.parameters},
            "required": [item.name for item in self.parameters if item.required],
            "additionalProperties": False,
        }
        return ToolForm(name=self.name, description=self.about, schema=schema)


_PATH = Parameter(name="path", about="Relative to the workspace.", required=True)
_FOLDER = Parameter(name="path", about="A folder or file, relative to the workspace; everything if it is left out.")
_PATTERN = Parameter(name="pattern", about="A glob that paths must match, such as `*.py` or `tests/*.py`.")

TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            name="read_file",
            about="Read a text file. Each line begins with its number and a tab, which are not part of the file.",
            parameters=(
                _PATH,
                Parameter(name="start_line", about="The first line to read, from 1.", kind=int, most=10**8),
                Parameter(name="lines", about="How many lines; 400 if it is left out.", kind=int, most=2000),
            ),
        ),
        Tool(name="list_files", about="List files with their sizes.", parameters=(_FOLDER, _PATTERN)),
        Tool(
            name="search",
            about="Find lines in text files: `path:line: text` for each.",
            parameters=(
                Parameter(name="text", about="What to look for.", required=True),
                Parameter(name="regex", about="Whether it is a Python regular expression.", kind=bool),
                _FOLDER,
                _PATTERN,
            ),
        ),
        Tool(
            name="edit_file",
            about="Change one file. `replace`: put `new` where `old` stands, which must match exactly, white space too,"
            " and only once unless `all` is true. `create`: a new file with the text `new`. `delete`: remove the file.",
            parameters=(
                Parameter(name="action", about="What to do.", required=True, choices=("replace", "create", "delete")),
                _PATH,
                Parameter(name="old", about="For `replace`.", most=TEXT_CHARACTERS),
                Parameter(name="new", about="For `replace` and `create`.", most=TEXT_CHARACTERS),
                Parameter(name="all", about="For `replace`: every place.", kind=bool),
            ),
        ),
        Tool(
            name="run",
            about="Run a shell command in the workspace, such as the tests. There is no network and no terminal; what"
            " it starts ends with it.",
            parameters=(
                Parameter(name="command", about="For `sh -c`.", required=True, most=COMMAND_CHARACTERS),
                Parameter(name="timeout_s", about="Seconds after which it is ended.", kind=int, most=10**6),
            ),
        ),
        Tool(
            name="finish",
            about="End your work. Call it once, when the task is done or you cannot do it.",
            parameters=(
                Parameter(
                    name="report",
                    about="What you changed and why, in short Markdown. Only what you know.",
                    required=True,
                    most=200_000,
                ),
                Parameter(name="done", about="Whether the task is done; false: you give up.", kind=bool),
            ),
        ),
    )
}
FORMS = tuple(tool.form for tool in TOOLS.values())


def check_call(call: ToolCall) -> dict[str, Any]:
    """A call's arguments, those that were given.

    Raises:
        BadCallError: there is no such tool, or the arguments do not fit.
    """
    tool = TOOLS.get(call.name)
    if tool is None:
        raise BadCallError(f"There is no tool {call.name[:NAME_CHARACTERS]!r}. The tools are: {', '.join(TOOLS)}.")
    given = {key: value for key, value in _read(call).items() if value is not None}
    known = {item.name: item for item in tool.parameters}
    if strange := [key for key in given if key not in known]:
        raise BadCallError(f"{tool.name} has no argument {strange[0][:100]!r}. It has: {', '.join(known)}.")
    if missing := [item.name for item in tool.parameters if item.required and item.name not in given]:
        raise BadCallError(f"{tool.name} needs the argument {missing[0]!r}.")
    return {key: _fitting(known[key], value) for key, value in given.items()}


def recorded(call: ToolCall) -> ToolCall:
    """A call as it may stand in the history: servers refuse names and arguments that are none."""
    try:
        _read(call)
        arguments = call.arguments or "{}"
    except BadCallError:
        arguments = "{}"
    name = NAME.sub("_", call.name)[:NAME_CHARACTERS] or "unknown"
    return ToolCall(id=call.id, name=name, arguments=arguments)


def _read(call: ToolCall) -> dict[str, Any]:
    try:
        found = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError) as error:
        told = str(error)[:200] if isinstance(error, ValueError) else "it is nested too deeply"
        raise BadCallError(f"The arguments are no JSON: {told}. Call the tool again with one JSON object.") from error
    if not isinstance(found, dict):
        raise BadCallError("The arguments must be one JSON object.")
    return found


def _fitting(parameter: Parameter, value: object) -> str | int | bool:
    name = parameter.name
    if parameter.kind is bool:
        truth = {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else value
        if not isinstance(truth, bool):
            raise BadCallError(f"{name} must be true or false.")
        return truth
    if parameter.kind is int:
        return _number(parameter, value)
    if not isinstance(value, str):
        raise BadCallError(f"{name} must be a text.")
    text = value.encode("utf-8", "replace").decode()  # JSON may hold halves of surrogate pairs
    if len(text) > parameter.most:
        raise BadCallError(f"{name} has {len(text)} characters; at most {parameter.most} are possible.")
    if "\0" in text:
        raise BadCallError(f"{name} must not hold a NUL character.")
    if parameter.choices and text not in parameter.choices:
        raise BadCallError(f"{name} must be one of: {', '.join(parameter.choices)}.")
    return text


def _number(parameter: Parameter, value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value.strip()):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadCallError(f"{parameter.name} must be a whole number from 1.")
    return min(value, parameter.most)
