"""Which functions of a loaded program a changed file changes, and giving them their new code.

Rules:
- Old and new code objects are paired by where they stand in the file. Two are the same if all but their lines is.
- Swapped is only the code of functions. What runs when a file is loaded cannot be run again, so nothing is swapped when
  the code of the module or of a class differs, arguments, flags, docstring or closed-over names of a function do, or a
  changed function already ran while the tests were collected: what it made then stays.
- Every function alive counts, wherever it is held: methods, closures, lambdas, and what decorators wrapped.
- If what is loaded is not the file's own code (rewritten, or loaded from elsewhere), nothing is swapped.

It runs no test. Python 3.9 and later, standard library only.
"""

from __future__ import annotations

import gc
import hashlib
import marshal
import sys
import threading
import warnings
from collections.abc import Callable
from types import AsyncGeneratorType, CodeType, CoroutineType, FunctionType, GeneratorType
from typing import Any, NamedTuple

__all__ = ["Executed", "Loaded", "Unswappable", "compiled", "key_of", "plan"]

OPTIMIZED = 0x1
"""Flag of a function's code, as opposed to a module's or a class's."""


class Unswappable(Exception):  # a reason, nobody reports it
    """The change needs the file to be loaded anew."""


class Comparison(NamedTuple):
    """Where two versions of a file differ."""

    changed: list[tuple[CodeType, CodeType]]
    """Code whose own instructions or constants differ."""
    pairs: list[tuple[CodeType, CodeType]]
    """The same, with the code around it, which holds the changed code as a constant."""
    orphans: list[CodeType]
    """Code of the old file that has no counterpart."""


def compiled(source: bytes, filename: str) -> CodeType:
    """The code of a file as the import system makes it.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: it is not Python of this interpreter.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(source, filename, "exec", dont_inherit=True)


def compare(old: CodeType, new: CodeType) -> Comparison:
    """Pair the code of two versions of a file."""
    found = Comparison([], [], [])
    _compare(old, new, found)
    return found


def key_of(comparisons: list[tuple[str, Comparison]]) -> str:
    """What is the same for two changes that compile to the same code, whatever their text."""
    digest = hashlib.blake2b(digest_size=16)
    for path, comparison in comparisons:
        for old, new in comparison.changed:
            digest.update(repr((path, old.co_firstlineno, _shape(old), _deep(new))).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def _compare(old: CodeType, new: CodeType, found: Comparison) -> bool:
    same = _shape(old) == _shape(new)
    if not same:
        found.changed.append((old, new))
    olds, news = _nested(old), _nested(new)
    if [code.co_name for code in olds] == [code.co_name for code in news]:
        inside = [_compare(before, after, found) for before, after in zip(olds, news)]  # noqa: B905  # Python 3.9
    else:
        inside = [True]
        for code in olds:
            found.orphans.extend(_all(code))
    if any(inside) or not same:
        found.pairs.append((old, new))
        return True
    return False


def _nested(code: CodeType) -> list[CodeType]:
    return [each for each in code.co_consts if isinstance(each, CodeType)]


def _all(code: CodeType) -> list[CodeType]:
    return [code, *(each for inner in _nested(code) for each in _all(inner))]


def _shape(code: CodeType) -> tuple[Any, ...]:
    """All of a code object but its lines, and the code inside it by name only."""
    consts = tuple(("code", each.co_name) if isinstance(each, CodeType) else each for each in code.co_consts)
    if not code.co_flags & OPTIMIZED and "__firstlineno__" in code.co_names:  # Python 3.13 keeps a class's line
        consts = tuple("line" if each == code.co_firstlineno else each for each in consts)
    return (*_signature(code), code.co_name, code.co_code, _frozen(consts), code.co_names, code.co_varnames,
            code.co_freevars, code.co_cellvars, getattr(code, "co_exceptiontable", b""))  # fmt: skip


def _deep(code: CodeType) -> tuple[Any, ...]:
    return (_shape(code), [_deep(each) for each in _nested(code)])


def _frozen(consts: tuple[Any, ...]) -> bytes:
    """Constants so that 1, 1.0 and True differ."""
    try:
        return marshal.dumps(consts, 2)
    except ValueError:  # a kind of constant that this old format does not know
        return repr([(type(each), each) for each in consts]).encode("utf-8", "backslashreplace")


def _signature(code: CodeType) -> tuple[Any, ...]:
    arguments = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
    return (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags,
            code.co_varnames[:arguments])  # fmt: skip


class Executed:
    """Notes the code that runs between `begin` and `end`, in all threads; of the repository's, `end` tells."""

    def __init__(self, folder: str) -> None:
        self._inside = folder.rstrip("/") + "/"
        self._seen: dict[int, CodeType] = {}

        def note(frame: Any, event: str, argument: Any, seen: dict[int, CodeType] = self._seen, id: Any = id) -> None:  # noqa: A002
            code = frame.f_code  # called for every call in the process: nothing is looked up that need not be
            seen[id(code)] = code

        self._note = note

    def begin(self) -> None:
        """Start noting."""
        threading.settrace(self._note)
        sys.settrace(self._note)

    def without(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function that does not run the repository's code, unobserved."""

        def unobserved(*arguments: Any, **options: Any) -> Any:
            noting = sys.gettrace()
            sys.settrace(None)
            try:
                return function(*arguments, **options)
            finally:
                sys.settrace(noting)

        return unobserved

    def end(self) -> frozenset[CodeType]:
        """Stop, and give what ran."""
        sys.settrace(None)
        threading.settrace(None)
        return frozenset(code for code in self._seen.values() if code.co_filename.startswith(self._inside))


class Loaded:
    """The functions of the repository that are alive.

    Args:
        executed: code that ran while the tests were collected.
    """

    def __init__(self, folder: str, executed: frozenset[CodeType]) -> None:
        self.executed = executed
        self._functions: dict[str, dict[CodeType, list[FunctionType]]] = {}
        self._suspended: set[CodeType] = set()
        inside = folder.rstrip("/") + "/"
        for each in gc.get_objects():
            if type(each) is FunctionType:
                code = each.__code__
                if code.co_filename.startswith(inside):
                    self._functions.setdefault(code.co_filename, {}).setdefault(code, []).append(each)
            elif type(each) in _SUSPENDED:
                self._suspended.add(getattr(each, _SUSPENDED[type(each)]))

    def of(self, filename: str) -> dict[CodeType, list[FunctionType]]:
        """Code -> the functions of a file that have it."""
        return self._functions.get(filename, {})

    def suspended(self, code: CodeType) -> bool:
        """Whether a generator or coroutine stands in the middle of this code."""
        return code in self._suspended


_SUSPENDED = {GeneratorType: "gi_code", CoroutineType: "cr_code", AsyncGeneratorType: "ag_code"}


def plan(loaded: Loaded, filename: str, old: CodeType, comparison: Comparison) -> list[tuple[FunctionType, CodeType]]:
    """The functions to change and their new code; setting `__code__` of each is all that is left to do.

    Raises:
        Unswappable: with the reason.
    """
    _check_loaded(loaded, filename, old)
    for before, after in comparison.changed:
        _check_fit(before, after)
        if before in loaded.executed:
            raise Unswappable(f"{before.co_name} ran while the tests were collected")
    for orphan in comparison.orphans:
        if orphan in loaded.of(filename) or loaded.suspended(orphan):
            raise Unswappable(f"{orphan.co_name} is gone")
    swaps: list[tuple[FunctionType, CodeType]] = []
    chosen: dict[CodeType, CodeType] = {}
    for before, after in comparison.pairs:
        if chosen.setdefault(before, after) is not after:
            raise Unswappable(f"{before.co_name} stands there twice")
        if loaded.suspended(before):
            raise Unswappable(f"{before.co_name} is suspended")
        if before.co_flags & OPTIMIZED:
            swaps += [(function, after) for function in loaded.of(filename).get(before, ())]
    return swaps


def _check_loaded(loaded: Loaded, filename: str, old: CodeType) -> None:
    if old not in loaded.executed:
        raise Unswappable("the file was not loaded as it is")
    if not set(loaded.of(filename)) <= set(_all(old)):
        raise Unswappable("the file's code was rewritten")


def _check_fit(before: CodeType, after: CodeType) -> None:
    if not before.co_flags & OPTIMIZED:
        raise Unswappable("what runs when the file is loaded differs")
    if _signature(before) != _signature(after) or before.co_freevars != after.co_freevars:
        raise Unswappable(f"{before.co_name} has other arguments or closes over other names")
    first = before.co_consts[:1], after.co_consts[:1]
    if first[0] != first[1] and any(isinstance(each, str) for each in first[0] + first[1]):
        raise Unswappable(f"{before.co_name} may have another docstring")
