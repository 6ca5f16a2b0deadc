"""Which calls of a file's functions happen while tests run, written down as scenarios.

Rules:
- Watched are the functions and methods of the changed files. A call from outside such a file is an entry; it counts
  when it reaches one of the targets. A direct call of a target counts, too.
- Arguments are written at the moment of the call, before the code can change them.
- Making an object, and the entries on it that follow, are kept as lines that make it again: the first `MOST_STEPS`.
- At most `MOST_KEPT` different calls of one function, and `MOST_TRIED` attempts to write one.

It changes nothing that the tests see but their speed. Python 3.9 and later, standard library only.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from types import CodeType, FrameType
from typing import Any, NamedTuple

from expressing import Inexpressible, Line, Writer, reference  # type: ignore[import-not-found]  # beside this file
from scenario import Scenario  # type: ignore[import-not-found]  # the same

__all__ = ["Place", "Watch"]

MOST_STEPS, MOST_LINES, MOST_KEPT, MOST_TRIED, MOST_OBJECTS = 10, 14, 80, 600, 2000
OPERATORS = {
    "__getitem__": "{self}[{0}]", "__len__": "len({self})", "__iter__": "list({self})", "__repr__": "repr({self})",
    "__str__": "str({self})", "__contains__": "{0} in {self}", "__eq__": "{self} == {0}", "__ne__": "{self} != {0}",
    "__lt__": "{self} < {0}", "__le__": "{self} <= {0}", "__gt__": "{self} > {0}", "__ge__": "{self} >= {0}",
    "__add__": "{self} + {0}", "__sub__": "{self} - {0}", "__mul__": "{self} * {0}", "__or__": "{self} | {0}",
    "__and__": "{self} & {0}", "__xor__": "{self} ^ {0}", "__bool__": "bool({self})", "__hash__": "hash({self})",
    "__reversed__": "list(reversed({self}))", "__next__": "next({self})", "__int__": "int({self})",
    "__float__": "float({self})", "__abs__": "abs({self})", "__neg__": "-{self}", "__format__": "format({self}, {0})",
    "__truediv__": "{self} / {0}", "__floordiv__": "{self} // {0}", "__mod__": "{self} % {0}",
    "__getattr__": "getattr({self}, {0})",
}  # fmt: skip
STATEMENTS = {
    "__setitem__": "{self}[{0}] = {1}", "__delitem__": "del {self}[{0}]", "__iadd__": "{self} += {0}",
    "__ior__": "{self} |= {0}", "__setattr__": "setattr({self}, {0}, {1})", "__isub__": "{self} -= {0}",
    "__iand__": "{self} &= {0}",
}  # fmt: skip


class Place:
    """One function of a watched file."""

    def __init__(self, code: CodeType, qualname: str, target: bool) -> None:
        self.code, self.qualname, self.target = code, qualname, target
        self.first_at = -2
        """Where its frames stand when they are called, as opposed to resumed."""
        self.tried = 0
        self.kept: dict[tuple[Any, ...], Scenario] = {}
        self.optional: dict[str, str] = {}
        """Arguments that may be left out -> their default, written."""


class Watch:
    """Notes calls while it is on.

    Args:
        files: absolute path -> the qualified names of its targets; an empty name makes every function one.
    """

    def __init__(self, files: dict[str, list[str]]) -> None:
        self._files = files
        self._places: dict[int, tuple[CodeType, Place | None]] = {}
        self._stack: list[_Entered] = []
        self._objects: dict[int, tuple[Any, str, list[Line]]] = {}
        self._numbers = 0
        self._busy = False
        self.places: dict[str, Place] = {}

    def begin(self) -> None:
        """Start noting."""
        sys.setprofile(self._note)

    def end(self) -> None:
        """Stop."""
        sys.setprofile(None)

    def scenarios(self) -> list[Scenario]:
        """What was noted; the calls of each function in turn, easy ones first."""
        columns = [sorted(place.kept.values(), key=lambda each: each.cost) for place in self.places.values()]
        return [column[row] for row in range(MOST_KEPT) for column in columns if row < len(column)]

    def _note(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            code = frame.f_code
            known = self._places.get(id(code))
            place = known[1] if known is not None else self._learn(code)
            if place is not None and not self._busy:
                self._busy = True
                try:
                    self._enter(frame, place)
                finally:
                    self._busy = False
        elif event == "return" and self._stack and self._stack[-1].frame is frame:
            entered = self._stack.pop()
            if entered.reached and self._stack:
                self._stack[-1].reached = True
            if entered.pending is not None and not self._busy:
                self._leave(entered, argument)

    def _learn(self, code: CodeType) -> Place | None:
        place = None
        targets = self._files.get(code.co_filename)
        if targets is not None:
            qualname = _qualname(code)
            target = any(not name or qualname == name or qualname.startswith(f"{name}.") for name in targets)
            place = Place(code, qualname, target)
        self._places[id(code)] = (code, place)
        return place

    def _enter(self, frame: FrameType, place: Place) -> None:
        if place.first_at == -2:
            place.first_at = frame.f_lasti
        outermost = not any(each.pending for each in self._stack)
        pending = None
        if frame.f_lasti == place.first_at and (outermost or place.target) and "<" not in place.qualname:
            pending = self._written(frame, place, step=not self._stack)
        self._stack.append(_Entered(frame, place, pending))

    def _written(self, frame: FrameType, place: Place, *, step: bool) -> _Written | None:
        """What a call is written as; None when it cannot be."""
        makes = place.qualname.endswith("__init__")
        if place.tried >= (MOST_OBJECTS if makes else MOST_TRIED) or (len(place.kept) >= MOST_KEPT and not makes):
            return None
        place.tried += 1
        try:
            return _Call(self, frame, place).written(step=step)
        except Inexpressible:
            return None
        except Exception:  # a repository's own attributes may do anything
            return None

    def _leave(self, entered: _Entered, result: Any) -> None:
        """A call that was written has ended."""
        written, place = entered.pending, entered.place
        if entered.reached:
            self._keep(place, written.scenario, written.subject, result)
        plain = isinstance(result, (type, str, bytes, int, float, tuple, list, dict, set, frozenset, type(None)))
        exact = type(result).__module__ in ("builtins", "types", "functools", "itertools")
        own = not exact and (not plain or type(result).__module__ != "builtins")
        if not self._stack and own and self.known(result) is None:
            with suppress(Inexpressible):
                self.made(result, written.call, written.writer)

    def _keep(self, place: Place, scenario: Scenario, receiver: str, result: Any) -> None:
        if result is None and receiver and scenario.call != receiver:
            scenario = scenario._replace(setup=(*scenario.setup, scenario.call), call=receiver)
        if scenario.key not in place.kept and len(place.kept) < MOST_KEPT:
            place.kept[scenario.key] = scenario
            self.places.setdefault(scenario.place, place)

    def known(self, value: object) -> tuple[str, list[Line]] | None:
        """The variable and the lines of an object whose making was watched."""
        found = self._objects.get(id(value))
        return (found[1], list(found[2])) if found is not None and found[0] is value else None

    def made(self, value: object, text: str, writer: Writer) -> str:
        """Remember how an object was made; gives its variable."""
        if len(self._objects) >= MOST_OBJECTS:
            raise Inexpressible("too many objects")
        self._numbers += 1
        name = f"{_variable(type(value).__name__)}_{self._numbers}"
        self._objects[id(value)] = (value, name, [self._line(f"{name} = {text}", writer)])
        return name

    def continued(self, value: object, text: str, writer: Writer) -> None:
        """Remember what was done with an object."""
        found = self._objects[id(value)]
        if len(found[2]) < MOST_STEPS:
            found[2].append(self._line(text, writer))

    def _line(self, text: str, writer: Writer) -> Line:
        self._numbers += 1
        return Line(self._numbers, text, frozenset(writer.imports), tuple(writer.lines.values()))


class _Written(NamedTuple):
    """A call as it is written."""

    scenario: Scenario
    subject: str
    """The variable of the object that it is about; empty if it is about none."""
    call: str
    """The call with the variables' own numbers."""
    writer: Writer


class _Entered:
    """One call that has not ended."""

    def __init__(self, frame: FrameType, place: Place, pending: Any) -> None:
        self.frame, self.place, self.pending = frame, place, pending
        self.reached = place.target


class _Call:
    """One call of a watched function."""

    def __init__(self, watch: Watch, frame: FrameType, place: Place) -> None:
        self._watch, self._place = watch, place
        self._values = dict(frame.f_locals)
        self._code = frame.f_code
        self._module = str(frame.f_globals.get("__name__"))
        self._writer = Writer(watch.known)

    def written(self, *, step: bool) -> _Written:
        """The scenario, and what it was written with."""
        owner, name, raw = self._found()
        positional = list(self._code.co_varnames[: self._code.co_argcount])
        receiver = ""
        if isinstance(owner, type) and not isinstance(raw, staticmethod):
            first = self._values[positional.pop(0)]
            if name == "__get__":
                return self._attribute(first, self._values[positional[0]])
            if name == "__init__":
                return self._making(first, raw, positional)
            if isinstance(raw, classmethod):
                prefix = f"{self._writer.name(owner)}.{name}"
            else:
                known = self._watch.known(first)
                receiver = self._writer.write(first) if known is None else known[0]
                for line in known[1] if known else ():
                    self._writer.use(line)
                if known is None:
                    receiver = f"({receiver})" if not receiver.isidentifier() else receiver
                prefix = f"{receiver}.{name}"
        elif isinstance(owner, type):
            prefix = f"{self._writer.name(owner)}.{name}"
        else:
            prefix = self._imported(name)
        call = self._call(prefix, receiver, name, raw, positional)
        scenario, subject = self._scenario(call, receiver)
        if step and receiver and self._watch.known(self._first()) is not None:
            self._watch.continued(self._first(), call, self._writer)
        return _Written(scenario, subject if receiver.isidentifier() else "", call, self._writer)

    def _attribute(self, descriptor: object, instance: object) -> _Written:
        """Reading an attribute that is an object with a `__get__` of its own."""
        kind = type(instance)
        names = [name for each in kind.__mro__ for name, held in vars(each).items() if held is descriptor]
        if not names or instance is None:
            raise Inexpressible("an attribute without a name")
        call = f"{self._writer.write(instance)}.{names[0]}"
        scenario, _ = self._scenario(call, "")
        return _Written(scenario, "", call, self._writer)

    def _first(self) -> object:
        return self._values[self._code.co_varnames[0]]

    def _found(self) -> tuple[Any, str, Any]:
        """What the function is an attribute of, under which name, and the raw attribute."""
        owner: Any = sys.modules.get(self._module)
        *parts, name = self._place.qualname.split(".")
        for part in parts:
            owner = inspect.getattr_static(owner, part)
        raw = inspect.getattr_static(owner, name)
        return owner, name, raw

    def _imported(self, name: str) -> str:
        found = getattr(sys.modules[self._module], name)
        module = self._module
        try:
            module = reference(found)[0]
        except Inexpressible:
            if "test" in module:
                raise
        self._writer.imports.add(f"from {module} import {name}")
        return name

    def _making(self, made: object, raw: Any, positional: list[str]) -> _Written:
        kind = type(made)
        text = f"{self._writer.name(kind)}({self._arguments(raw, positional, 1)})"
        scenario, _ = self._scenario(text, "")
        self._watch.made(made, text, self._writer)
        return _Written(scenario, "", text, self._writer)

    def _call(self, prefix: str, receiver: str, name: str, raw: Any, positional: list[str]) -> str:
        if isinstance(raw, property) or (
            receiver and not callable(raw) and not isinstance(raw, (classmethod, staticmethod))
        ):
            if self._place.code.co_argcount > 1:
                raise Inexpressible("a setter")
            return prefix
        form = OPERATORS.get(name) or STATEMENTS.get(name)
        if receiver and form is not None:
            values = [self._writer.write(each) for each in (*map(self._values.get, positional), *self._more())]
            return form.format(*values, self=receiver)
        if receiver and name.startswith("__") and name.endswith("__") and name != "__call__":
            raise Inexpressible(name)
        target = receiver if name == "__call__" and receiver else prefix
        call = f"{target}({self._arguments(raw, positional, 1 if receiver else 0)})"
        if self._code.co_flags & inspect.CO_COROUTINE:
            self._writer.imports.add("import asyncio")
            return f"asyncio.run({call})"
        return call

    def _arguments(self, raw: Any, positional: list[str], skipped: int) -> str:
        code, values, write = self._code, self._values, self._writer.write
        count = code.co_argcount + code.co_kwonlyargcount
        keywords = list(code.co_varnames[code.co_argcount : count])
        flags = code.co_flags
        star = bool(flags & inspect.CO_VARARGS)
        rest = code.co_varnames[count + star] if flags & inspect.CO_VARKEYWORDS else None
        defaults, more = _defaults(raw), self._more()
        parts: list[str] = []
        named = False
        for index, name in enumerate(positional):
            value, default = values[name], defaults.get(name, _NONE)
            self._offer(name, default)
            if not more and default is not _NONE and (value is default or _equal(value, default)):
                named = index + skipped >= code.co_posonlyargcount
                continue
            by_name = named or (
                default is not _NONE and not more and index + skipped >= max(code.co_posonlyargcount, 1)
            )
            parts.append(f"{name}={write(value)}" if by_name else write(value))
        parts += [write(each) for each in more]
        for name in keywords:
            self._offer(name, defaults.get(name, _NONE))
            if not _equal(values[name], defaults.get(name, _NONE)):
                parts.append(f"{name}={write(values[name])}")
        for name, value in (values[rest] if rest else {}).items():
            if not str(name).isidentifier():
                raise Inexpressible("a keyword that is no name")
            parts.append(f"{name}={write(value)}")
        return ", ".join(parts)

    def _more(self) -> tuple[Any, ...]:
        """What was given beyond the named arguments."""
        code = self._code
        if not code.co_flags & inspect.CO_VARARGS:
            return ()
        return tuple(self._values[code.co_varnames[code.co_argcount + code.co_kwonlyargcount]])

    def _offer(self, name: str, default: Any) -> None:
        if default is not _NONE and name not in self._place.optional:
            try:
                self._place.optional[name] = Writer().write(default)
            except Inexpressible:
                self._place.optional[name] = ""

    def _scenario(self, call: str, receiver: str) -> tuple[Scenario, str]:
        """The scenario, and its name for the receiver."""
        lines = sorted(self._writer.lines.values())
        if len(lines) > MOST_LINES:
            raise Inexpressible("too many lines")
        setup, final = [line.text for line in lines], call
        if _is_statement(call) or call.startswith("setattr("):
            setup, final = [*setup, call], receiver
        imports = set(self._writer.imports)
        _refuse_collisions(imports)
        *setup, final, subject = _renumbered([*setup, final, receiver])
        place = f"{self._module}:{self._place.qualname}"
        return Scenario(tuple(sorted(imports)), tuple(setup), final, "recorded", place), subject


class _Nothing:
    """No default."""


_NONE = _Nothing()


def _is_statement(text: str) -> bool:
    try:
        compile(text, "<call>", "eval")
    except SyntaxError:
        return True
    return False


def _equal(value: Any, default: Any) -> bool:
    if value is default:
        return True
    plain = (bool, int, str, bytes, float, tuple, frozenset, type(None))
    return type(value) is type(default) and isinstance(value, plain) and value == default


def _defaults(raw: Any) -> dict[str, Any]:
    function = raw.__func__ if isinstance(raw, (classmethod, staticmethod)) else raw
    function = inspect.unwrap(function) if callable(function) else function
    positional = getattr(function, "__defaults__", None) or ()
    code = getattr(function, "__code__", None)
    if code is None:
        return {}
    names = code.co_varnames[: code.co_argcount]
    found = dict(zip(names[len(names) - len(positional) :], positional))  # noqa: B905  # Python 3.9
    return {**found, **(getattr(function, "__kwdefaults__", None) or {})}


def _refuse_collisions(imports: set[str]) -> None:
    names = [each.rpartition(" ")[2] for each in imports]
    if len(names) != len(set(names)):
        raise Inexpressible("two things of one name")


def _variable(name: str) -> str:
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_")
    return text if text.isidentifier() else "thing"


def _renumbered(lines: list[str]) -> list[str]:
    """The same lines with variables numbered from 1, the number left out where there is only one."""
    names: dict[str, str] = {}
    for line in lines:
        match = re.match(r"([A-Za-z_]\w*)_(\d+) = ", line)
        if match:
            stem = match.group(1)
            taken = sum(each.rstrip("0123456789") == stem for each in names.values())
            names[f"{stem}_{match.group(2)}"] = f"{stem}{taken + 1}" if taken else stem
    if not names:
        return lines
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b")
    return [pattern.sub(lambda match: names[match.group(1)], line) for line in lines]


def _qualname(code: CodeType) -> str:
    known = getattr(code, "co_qualname", None)
    return known if isinstance(known, str) else _searched(code)


def _searched(code: CodeType) -> str:
    """The qualified name before Python 3.11: found among what the modules hold."""
    for name, found in _functions():
        if getattr(found, "__code__", None) is code:
            return name
    return f"<unknown>.{code.co_name}"


def _functions() -> Iterator[tuple[str, Any]]:
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if isinstance(value, type):
                for inner, held in list(vars(value).items()):
                    function = getattr(held, "__func__", None) or getattr(held, "fget", None) or held
                    yield f"{value.__qualname__}.{inner}", function
            else:
                yield name, value
