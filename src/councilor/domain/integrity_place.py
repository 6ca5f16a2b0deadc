"""Reads a Python file's syntax tree for code that asks where or when it runs, and could behave only there and then.

Rules:
- FORGE-14, wherever they stand: the machine's and the account's name, mount points, the interpreter's flags and its
  original arguments, the main module, tracing; the texts by which such things are found in files and variables.
- FORGE-14, where something is decided by it (a condition, a comparison, `startswith` and the like, or a name assigned
  from it that stands there): process and user ids, the working and the home folder, the program's arguments,
  `__file__`, the environment as a whole and the variables that describe a place rather than a wish.
- FORGE-15: a comparison of the calendar or the clock with nothing but constants. A time measured against another time,
  or against a name, is what timeouts and caches are made of, and not reported.

It follows a name through plain assignments in the same file and no further. What tests the network, counts its own
calls, waits, or leaves a file behind to know that it ran before is not found: see docs/explanation/evidence.md.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TypeGuard

from councilor.domain.integrity_scan import Finding, dotted_name, imported_names
from councilor.domain.syntax import parse_module

__all__ = ["place_asked"]

_IDENTITY = frozenset(
    {
        *("socket.gethostname", "socket.getfqdn", "platform.node", "platform.uname", "os.uname", "getpass.getuser"),
        *("os.getlogin", "pwd", "grp", "os.path.ismount", "pathlib.Path.is_mount", "sys.flags", "sys.orig_argv"),
        *("sys.gettrace", "sys.getprofile", "__main__"),
    }
)
_WHEREABOUTS = frozenset(
    {
        *("os.getpid", "os.getppid", "os.getpgid", "os.getpgrp", "os.getsid", "os.getuid", "os.geteuid", "os.getgid"),
        *("os.getegid", "os.getcwd", "os.getcwdb", "pathlib.Path.cwd", "pathlib.Path.home", "os.path.expanduser"),
        *("sys.argv", "sys.executable", "sys.prefix", "__file__"),
    }
)
_ENVIRONMENT = frozenset({"os.environ", "os.environb", "os.getenv"})
_PLACE_VARIABLES = frozenset(
    {"USER", "LOGNAME", "SHELL", "HOSTNAME", "PWD", "DISPLAY", "CI", "TZ", "HOME", "TMPDIR", "LANG", "GITHUB_ACTIONS"}
)
_TEXTS = ("PYTHONHASHSEED", "PYTHONUNBUFFERED", "PYTHONNOUSERSITE", "PYTHONDONTWRITEBYTECODE")
_PATHS = ("/etc/hostname", "/etc/passwd", "/etc/machine-id", "/.dockerenv", "/home/job", "/sys/")
_CLOCKS = frozenset(
    {
        *("time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.strftime", "time.ctime", "time.asctime"),
        *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"),
    }
)
_DECIDING = frozenset(
    {"startswith", "endswith", "match", "fullmatch", "search", "find", "count", "index", "__contains__"}
)


def place_asked(source: bytes) -> tuple[Finding, ...]:
    """Everything in a Python file that asks where or when it runs; nothing for a file that cannot be parsed."""
    try:
        module = parse_module(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    reader = _Reader(module)
    return tuple(dict.fromkeys(sorted(reader.findings(), key=lambda item: (item.line or 0, item.rule, item.what))))


class _Reader:
    def __init__(self, module: ast.Module) -> None:
        self._module = module
        self._aliases = imported_names(module)
        self._places = self._assigned(self._asks_place)
        self._times = self._assigned(self._asks_time)

    def findings(self) -> Iterator[Finding]:
        for node in ast.walk(self._module):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from self._of_import(node)
            elif isinstance(node, ast.Attribute | ast.Name) and (name := self._identity(node)):
                yield _finding("FORGE-14", node, f"`{name}`")
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from (_finding("FORGE-14", node, f"the text `{text}`") for text in _named(node.value))
        for decision in _decisions(self._module):
            yield from self._of_decision(decision)

    def _of_import(self, node: ast.Import | ast.ImportFrom) -> Iterator[Finding]:
        prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        for each in node.names:
            name = next((name for name in _IDENTITY if f"{prefix}{each.name}.".startswith(f"{name}.")), None)
            if name:
                yield _finding("FORGE-14", node, f"`{name}`")

    def _of_decision(self, decision: ast.expr) -> Iterator[Finding]:
        for node in ast.walk(decision):
            known = self._places.get(node.id, "") if isinstance(node, ast.Name) else ""
            if name := self._asks_place(node) or known:
                yield _finding("FORGE-14", decision, f"a decision by `{name}`")
        if isinstance(decision, ast.Compare) and self._is_date_alone(decision):
            yield _finding("FORGE-15", decision, "a decision by the calendar")

    def _identity(self, node: ast.expr) -> str:
        dotted = dotted_name(node, self._aliases)
        return next((name for name in _IDENTITY if "." in name and dotted == name), "")

    def _asks_place(self, node: ast.AST) -> str:
        """What of the place an expression itself asks; empty for nothing."""
        if isinstance(node, ast.Attribute | ast.Name):
            dotted = dotted_name(node, self._aliases)
            return dotted if dotted in _WHEREABOUTS else ""
        if isinstance(node, ast.Call):
            arguments = [*node.args, node.func]
        elif isinstance(node, ast.Compare):
            arguments = [node.left, *node.comparators]
        elif isinstance(node, ast.Subscript):
            arguments = [node.value, node.slice]
        else:
            return ""
        if not any(self._is_environment(each) for each in arguments):
            return ""
        keys = [each.value for each in arguments if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        if keys and not _PLACE_VARIABLES.intersection(keys):
            return ""
        return keys[0] if keys else "os.environ"

    def _is_environment(self, node: ast.expr) -> bool:
        dotted = dotted_name(node, self._aliases)
        return dotted in _ENVIRONMENT or any(dotted.startswith(f"{name}.") for name in _ENVIRONMENT)

    def _asks_time(self, node: ast.AST) -> str:
        dotted = dotted_name(node, self._aliases) if isinstance(node, ast.Attribute | ast.Name) else ""
        return dotted if dotted in _CLOCKS else ""

    def _is_date_alone(self, decision: ast.Compare) -> bool:
        """Whether it compares a date or time with constants only."""
        names = [node for node in ast.walk(decision) if isinstance(node, ast.Name)]
        asks = any(self._asks_time(node) for node in ast.walk(decision)) or any(
            node.id in self._times for node in names
        )
        return asks and all(node.id in self._aliases or node.id in self._times for node in names)

    def _assigned(self, asks: Callable[[ast.AST], str]) -> dict[str, str]:
        """Names assigned from such an expression, and what it asks."""
        found: dict[str, str] = {}
        for node in ast.walk(self._module):
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
                asked = next((said for each in ast.walk(node.value) if (said := asks(each))), "")
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found |= {to.id: asked for to in targets if asked and isinstance(to, ast.Name)}
        return found


def _decisions(module: ast.Module) -> Iterator[ast.expr]:
    """Expressions by which something is decided."""
    for node in ast.walk(module):
        if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
            yield node.test
        elif isinstance(node, ast.Match):
            yield node.subject
        elif isinstance(node, ast.comprehension):
            yield from node.ifs
        elif isinstance(node, ast.Compare) or _is_deciding_call(node):
            yield node


def _is_deciding_call(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _DECIDING


def _named(text: str) -> Iterator[str]:
    yield from (name for name in _TEXTS if name in text)
    yield from (path for path in _PATHS if text.startswith(path))


def _finding(rule: str, node: ast.expr | ast.stmt, what: str) -> Finding:
    return Finding(rule, node.lineno, what, node.end_lineno)
