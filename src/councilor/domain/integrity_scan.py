"""Reads a Python file's syntax tree for what could reach the tests that judge it.

Rules:
- Names are followed through imports and their aliases (`from os import _exit as leave`), through `getattr`,
  `__import__`, `importlib.import_module` and `sys.modules[...]` with constant strings.
- A name is enough: what is imported or mentioned is reported at that line, used or not.

It does not execute or guess: a name put together at run time is not seen, but `exec`, `eval` of anything that is no
constant and the loading of marshalled or pickled code are reported. Source: `ast` of the standard library.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from councilor.domain.syntax import parse_module

__all__ = ["Finding", "dotted_name", "imported_names", "internals_touched"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One place that could reach the tests."""

    rule: str
    line: int | None
    what: str
    last_line: int | None = None
    ordinary_in_tests: bool = False

    @property
    def end(self) -> int:
        """The last line it stands on."""
        return self.last_line or self.line or 0


_NAMES: dict[str, str] = {
    **dict.fromkeys(("_pytest", "pluggy", "xdist"), "FORGE-2"),
    **dict.fromkeys(("pytest", "unittest", "coverage", "nose", "doctest"), "FORGE-3"),
    **dict.fromkeys(("os._exit", "os.abort", "os.kill", "os.killpg", "os.fork", "os.forkpty"), "FORGE-4"),
    **dict.fromkeys(("os.execv", "os.execve", "os.execvp", "os.execl", "os.execlp", "os.execvpe"), "FORGE-4"),
    **dict.fromkeys(("signal.raise_signal", "signal.pthread_kill", "_thread.interrupt_main"), "FORGE-4"),
    **dict.fromkeys(("atexit", "sys.settrace", "sys.setprofile", "sys.monitoring", "sys.addaudithook"), "FORGE-5"),
    **dict.fromkeys(("threading.settrace", "threading.setprofile", "signal.signal", "signal.setitimer"), "FORGE-5"),
    **dict.fromkeys(("signal.alarm", "faulthandler", "sys.excepthook", "sys.unraisablehook"), "FORGE-5"),
    **dict.fromkeys(("sys._getframe", "sys._current_frames", "sys._getframemodulename"), "FORGE-6"),
    **dict.fromkeys(("gc.get_objects", "gc.get_referrers", "gc.get_referents", "gc.callbacks"), "FORGE-6"),
    **dict.fromkeys(("inspect.currentframe", "inspect.stack", "inspect.trace", "inspect.getouterframes"), "FORGE-6"),
    **dict.fromkeys(("sys.modules", "sys.meta_path", "sys.path_hooks", "sys.path_importer_cache"), "FORGE-7"),
    **dict.fromkeys(("importlib.reload", "builtins.__import__"), "FORGE-7"),
    **dict.fromkeys(("os.dup", "os.dup2", "os.closerange", "os.fdopen", "socket.fromfd", "os.pidfd_open"), "FORGE-8"),
    **dict.fromkeys(("ctypes", "_ctypes", "cffi", "_testcapi", "_testinternalcapi"), "FORGE-10"),
    **dict.fromkeys(("marshal.loads", "marshal.load", "types.CodeType", "types.FunctionType"), "FORGE-10"),
}
_FRAME_FIELDS = frozenset(
    {"f_back", "f_locals", "f_globals", "f_lineno", "f_trace", "tb_frame", "gi_frame", "cr_frame"}
)
_CODE_FIELDS = frozenset({"__code__", "__closure__", "__builtins__", "__defaults__", "__subclasses__"})
_SENSITIVE = frozenset({"os", "sys", "gc", "builtins", "inspect", "signal"})
_REPLACEABLE = ("json.", "hashlib.", "os.", "time.", "random.", "sys.std")
_TEXTS = {
    "COUNCILOR_CHANNEL": "FORGE-1",
    "/proc/self": "FORGE-8",
    "/proc/": "FORGE-8",
    "/dev/fd": "FORGE-8",
    "PYTEST_CURRENT_TEST": "FORGE-2",
    "PYTEST_ADDOPTS": "FORGE-2",
}
_ORDINARY = frozenset(
    {"pytest", "unittest", "_pytest", "pluggy", "sys.modules", "importlib.reload", "os.kill", "PYTEST_ADDOPTS"}
)


def internals_touched(path: str, source: bytes) -> tuple[Finding, ...]:
    """Everything in a Python file that could reach the tests, in the order of its lines.

    Args:
        path: used in messages only.
    """
    try:
        module = parse_module(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return (Finding("FORGE-12", None, f"`{path}` cannot be parsed"),)
    aliases = imported_names(module)
    found = {finding for node in ast.walk(module) for finding in _of_node(node, aliases)}
    return tuple(sorted(found, key=lambda finding: (finding.line or 0, finding.rule, finding.what)))


def imported_names(module: ast.Module) -> dict[str, str]:
    """Local name -> the dotted name it was imported as."""
    aliases: dict[str, str] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for each in node.names:
                aliases[each.asname or each.name.partition(".")[0]] = (
                    each.name if each.asname else each.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for each in node.names:
                aliases[each.asname or each.name] = f"{node.module}.{each.name}"
    return aliases


def _of_node(node: ast.AST, aliases: dict[str, str]) -> Iterator[Finding]:
    if isinstance(node, ast.Import):
        for each in node.names:
            yield from _of_name(node, each.name)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        for each in node.names:
            yield from _of_name(node, f"{node.module}.{each.name}")
    elif isinstance(node, ast.Attribute):
        yield from _of_attribute(node, aliases)
    elif isinstance(node, ast.Subscript):
        yield from _of_name(node, dotted_name(node, aliases))
    elif isinstance(node, ast.Call):
        yield from _of_call(node, aliases)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from (_at(node, rule, f"the text `{text}`", text) for text, rule in _TEXTS.items() if text in node.value)
    elif isinstance(node, ast.ClassDef):
        yield from _of_class(node)
    elif isinstance(node, ast.Assign | ast.AugAssign | ast.Delete):
        yield from _of_assignment(node, aliases)


def _of_name(node: ast.stmt | ast.expr, dotted: str) -> Iterator[Finding]:
    for name, rule in _NAMES.items():
        if dotted == name or dotted.startswith(name + "."):
            yield _at(node, rule, f"`{name}`", name)


def _of_attribute(node: ast.Attribute, aliases: dict[str, str]) -> Iterator[Finding]:
    if node.attr in _FRAME_FIELDS:
        yield _at(node, "FORGE-6", f"`.{node.attr}`", node.attr)
    elif node.attr in _CODE_FIELDS:
        yield _at(node, "FORGE-7", f"`.{node.attr}`", node.attr)
    dotted = dotted_name(node, aliases)
    if node.attr == "__dict__" and dotted.removesuffix(".__dict__") in _SENSITIVE:
        yield _at(node, "FORGE-10", f"`{dotted}`", dotted)
    if dotted.count("."):
        for finding in _of_name(node, dotted):
            if "." in finding.what:  # a bare module is reported where it is imported
                yield finding


def _of_call(node: ast.Call, aliases: dict[str, str]) -> Iterator[Finding]:
    called = dotted_name(node.func, aliases)
    texts = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    if called in {"__import__", "importlib.import_module"} and texts:
        yield from _of_name(node, texts[0])
    elif called in {"getattr", "setattr", "delattr", "vars"} and len(node.args) > 1 and texts:
        yield from _of_name(node, f"{dotted_name(node.args[0], aliases)}.{texts[0]}")
        if texts[0] in _FRAME_FIELDS | _CODE_FIELDS:
            yield _at(node, "FORGE-6", f"`{texts[0]}` through {called}", texts[0])
    if called == "vars" and len(node.args) == 1 and dotted_name(node.args[0], aliases) in _SENSITIVE:
        yield _at(node, "FORGE-10", "`vars` of a module", called)
    if called in {"exec", "eval", "compile"} and node.args and not isinstance(node.args[0], ast.Constant):
        yield _at(node, "FORGE-10", f"`{called}` of something that is no constant", called)
    if called in {"getattr", "__import__", "importlib.import_module"} and not _constant_name(node, called):
        module = dotted_name(node.args[0], aliases) if node.args else ""
        if called != "getattr" or module in _SENSITIVE:
            yield _at(node, "FORGE-10", f"`{called}` with a name made at run time", called)


def _constant_name(node: ast.Call, called: str) -> bool:
    position = 1 if called == "getattr" else 0
    return len(node.args) > position and isinstance(node.args[position], ast.Constant)


def _of_class(node: ast.ClassDef) -> Iterator[Finding]:
    for member in node.body:
        equal = None
        if isinstance(member, ast.FunctionDef) and member.name in {"__eq__", "__ne__"}:
            straight = not any(isinstance(each, ast.If | ast.Match | ast.Try) for each in member.body)
            equal = straight and _returns(member.body[-1], member.name == "__eq__")
        elif isinstance(member, ast.Assign) and isinstance(member.value, ast.Lambda):
            named = any(isinstance(to, ast.Name) and to.id == "__eq__" for to in member.targets)
            equal = named and _is(member.value.body, True)
        if equal:
            yield _at(member, "FORGE-9", f"`{node.name}` equals everything", "__eq__")


def _of_assignment(node: ast.Assign | ast.AugAssign | ast.Delete, aliases: dict[str, str]) -> Iterator[Finding]:
    targets = [node.target] if isinstance(node, ast.AugAssign) else node.targets
    for target in targets:
        at = target.value if isinstance(target, ast.Subscript) else target
        dotted = dotted_name(at, aliases)
        if dotted == "__builtins__" or dotted.startswith(("builtins.", "__builtins__.")):
            yield _at(node, "FORGE-7", "a builtin is replaced", "builtins")
        elif isinstance(at, ast.Attribute) and dotted.startswith(_REPLACEABLE) and dotted != "os.environ":
            yield _at(node, "FORGE-7", f"`{dotted}` is replaced", dotted)


def dotted_name(node: ast.expr, aliases: dict[str, str]) -> str:
    """A dotted name with its first part resolved, `sys.modules["x"]` read as x; empty for anything else."""
    if isinstance(node, ast.Name):
        return aliases.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        left = dotted_name(node.value, aliases)
        return f"{left}.{node.attr}" if left else ""
    if isinstance(node, ast.Subscript) and dotted_name(node.value, aliases) == "sys.modules":
        return str(node.slice.value) if isinstance(node.slice, ast.Constant) else ""
    return ""


def _returns(statement: ast.stmt, value: bool) -> bool:
    return isinstance(statement, ast.Return) and statement.value is not None and _is(statement.value, value)


def _is(node: ast.expr, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _at(node: ast.stmt | ast.expr, rule: str, what: str, name: str) -> Finding:
    # Of a method only the line that names it and the one that returns: an edit elsewhere did not make it what it is.
    return Finding(rule, node.lineno, what, node.end_lineno, ordinary_in_tests=name in _ORDINARY)
