"""Governance files as data: YAML text to a checked model, with every problem named.

Rules:
- At most 128 KiB, 24 levels deep, one document, a mapping with string keys; duplicate keys, anchors, aliases and tags
  are refused, so that text means what it looks like and cannot grow while it is read.
- Scalars are those of the YAML 1.2 core schema (`yes` and `2026-01-01` are text).
- Types are strict: `"3"` is no integer. Unknown keys are refused with the nearest known one.
- `read_document` collects every problem; nothing here knows what the fields mean.

It reads no files: adapters hand the text over, from the base commit.
Source: YAML 1.2.2, section 10.3 (core schema), without octal, hexadecimal and special floats.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from councilor.domain.gate import Severity, Violation
from councilor.errors import InputError

__all__ = [
    "SIZE_LIMIT_BYTES",
    "Line",
    "Problem",
    "Record",
    "Text",
    "as_violation",
    "parse_mapping",
    "read_document",
    "refusal",
]

SIZE_LIMIT_BYTES = 128 * 1024
DEPTH_LIMIT = 24

M = TypeVar("M", bound=BaseModel)


class Record(BaseModel):
    """A strict, immutable part of a governance file."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", populate_by_name=False)


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


def _one_line(text: str) -> str:
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise ValueError("holds a control character or a line break")
    return _not_blank(text)


Text = Annotated[str, AfterValidator(_not_blank)]
"""Text that is not blank."""
Line = Annotated[str, AfterValidator(_one_line)]
"""One line of text that is not blank."""


class Problem(Exception):
    """One thing wrong with a document, before it has a rule id."""

    def __init__(self, kind: str, message: str, *, field: str = "", line: int | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        """`syntax`, `unknown`, `missing`, or `value`."""
        self.message = message
        self.field = field
        """Path of the field, such as `scope.in[0]`."""
        self.line = line
        self.hint = hint


class _Loader(yaml.SafeLoader):
    """YAML 1.2 core scalars, no duplicate keys."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own interface

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise Problem("syntax", "a key is not plain text", line=line)
            if key_node.value in seen:
                raise Problem("syntax", f"the key {key_node.value!r} occurs twice", line=line)
            seen.add(key_node.value)
        # `1:` and `"1":` are the same key: JSON knows only text.
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


def _resolve(tag: str, pattern: str, first: str) -> None:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first) or [""])


_resolve("null", r"^(?:~|null|Null|NULL|)$", "~nN")
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^$"), [""])
_resolve("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF")
_resolve("int", r"^[-+]?[0-9]{1,15}$", "-+0123456789")
_resolve("float", r"^[-+]?[0-9]{1,15}\.[0-9]{0,15}(?:[eE][-+][0-9]{1,2})?$", "-+0123456789")


def _check_shape(text: str) -> None:
    """Walk the parser's events, which needs no recursion and builds nothing, before anything is constructed."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise Problem("syntax", "anchors and aliases are not allowed", line=line, hint="Write the value out.")
        if tag := getattr(event, "tag", None):
            raise Problem("syntax", f"the tag {tag!r} is not allowed", line=line)
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise Problem("syntax", "there is more than one document", line=line)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH_LIMIT:
                raise Problem("syntax", f"it is nested more than {DEPTH_LIMIT} levels deep", line=line)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def parse_mapping(text: str) -> dict[str, Any]:
    """The mapping that `text` is, unchecked but for its form; a `Problem` of kind `syntax` for anything else."""
    if len(text) > SIZE_LIMIT_BYTES or len(text.encode("utf-8", "surrogatepass")) > SIZE_LIMIT_BYTES:
        raise Problem("syntax", f"it is larger than {SIZE_LIMIT_BYTES // 1024} KiB")
    try:
        _check_shape(text)
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise Problem("syntax", f"{error.problem}", line=mark.line + 1 if mark else None) from error
    except (yaml.YAMLError, ValueError) as error:
        raise Problem("syntax", " ".join(str(error).split())) from error
    if not isinstance(data, dict):
        raise Problem("syntax", "it is not a mapping of keys to values")
    return data


def _path(loc: Sequence[int | str]) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _known_keys(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """The keys that the model at `loc` knows."""
    for part in loc:
        if isinstance(part, str):
            field = next((f for n, f in model.model_fields.items() if part in (n, f.alias)), None)
            found = _models_in(field.annotation) if field else []
            model = found[0] if found else model
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _problem(error: Mapping[str, Any], model: type[BaseModel]) -> Problem:
    loc, kind = tuple(error["loc"]), str(error["type"])
    field = _path(loc)
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(loc[-1]), _known_keys(model, loc[:-1]), n=1, cutoff=0.5)
        known = ", ".join(_known_keys(model, loc[:-1]))
        hint = f"Did you mean {near[0]!r}?" if near else f"Known keys here: {known}."
        return Problem("unknown", f"the key {loc[-1]!r} is not known", field=field, hint=hint)
    if kind == "missing":
        return Problem("missing", "it is missing", field=field, hint=f"Add {field!r}.")
    message = str(error["msg"]).removeprefix("Value error, ")
    return Problem("value", message[:1].lower() + message[1:], field=field)


def read_document(text: str, model: type[M]) -> tuple[M | None, tuple[Problem, ...]]:
    """Parse and check `text`; there is a model when at most unknown keys are wrong, so that more can be checked."""
    try:
        data = parse_mapping(text)
        return model.model_validate_json(json.dumps(data), strict=True), ()
    except Problem as problem:
        return None, (problem,)
    except ValidationError as error:
        faults = error.errors()
    problems = tuple(_problem(dict(fault), model) for fault in faults)
    if any(problem.kind != "unknown" for problem in problems):
        return None, problems
    try:
        for fault in faults:
            _remove(data, fault["loc"])
        return model.model_validate_json(json.dumps(data), strict=True), problems
    except (LookupError, TypeError, ValidationError):
        return None, problems  # inside a choice of types, where a fault's place is not a path of the document


def _remove(data: Any, loc: Sequence[int | str]) -> None:
    for part in loc[:-1]:
        data = data[part]
    del data[loc[-1]]


def as_violation(problem: Problem, *, rule: str, source: str) -> Violation:
    """A problem under the id of the rule that it breaks."""
    message = f"{problem.field}: {problem.message}" if problem.field else problem.message
    remedy = problem.hint or f"Correct {problem.field or source!r} and load it again."
    return Violation(
        rule=rule, severity=Severity.HIGH, message=message, remediation=remedy, path=source, line=problem.line
    )


def refusal(problems: Sequence[Problem], *, rules: Callable[[Problem], str], source: str) -> InputError:
    """The `InputError` for the first of several problems; its message says how many more there are."""
    first = problems[0]
    shown = as_violation(first, rule=rules(first), source=source)
    place = f"{source}:{first.line}" if first.line else source
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return InputError(f"{place}: {shown.message}{more}", hint=shown.remediation, field=first.field, rule=shown.rule)
