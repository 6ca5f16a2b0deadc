"""Insecure lines that a scanner leaves out or cannot weigh, read from the syntax tree of a Python file.

Rules:
- SECURE-3: an `assert` that decides who may do something; `python -O` drops it. Only assertions about words such as
  `authenticated`, `is_admin` or `permission` count.
- SECURE-4: the check of a certificate or host name is switched off: `verify=False`, `check_hostname = False`,
  `CERT_NONE`, an unverified context, a protocol that is broken.
- SECURE-5: a password, key or token that stands in the code: a literal that is given to, or compared with, a name such
  as `password` or `api_key`. Names of fields, labels and files, empty texts and templates are not meant.
- SECURE-6: data that becomes objects or code: `yaml.unsafe_load`, `allow_pickle=True`, loaders that stand on pickle,
  `eval` and `exec` under other names.

It says what is there, in the order of the lines; what is new, and what it costs, decides `security`. What hides its
names well enough is not found.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator

from councilor.domain.analysis import Finding
from councilor.domain.gate import Severity
from councilor.domain.syntax import parse_module

__all__ = ["insecure_lines"]

SIZE_LIMIT_BYTES = 1024 * 1024
ACCESS = re.compile(
    r"(?:^|_)(?:admin|administrator|authenticated|authori[sz]ed|auth|permission|permissions|permitted|privileged"
    r"|superuser|staff|logged_in|has_perm|has_perms|has_role|is_allowed|allowed_to|roles?|csrf|password"
    r"|credential|credentials)(?:$|_)",
    re.IGNORECASE,
)
SECRET = re.compile(
    r"(?:^|_)(?:pass(?:word|wd|phrase)|pass$|pwd|secret|api_?key|access_?key|private_?key|auth_?key|secret_?key"
    r"|(?:auth|access|api|bearer|secret)_?token|credentials?)(?:$|_)",
    re.IGNORECASE,
)
DESCRIBED = re.compile(
    r"(?:^|_)(?:field|fields|name|names|label|header|headers|param|params|env|var|prompt|pattern|regex|re|url|uri|path"
    r"|file|filename|dir|type|kind|format|help|message|msg|error|hint|column|attr|attribute|id|length|len|min|max|option"
    r"|flag|text|title|placeholder|policy|validator|reset|encoding|charset|prefix|suffix|sep|separator)(?:$|_)",
    re.IGNORECASE,
)
"""Words by which a name speaks of a secret instead of holding it."""
CALL_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
UNSAFE_CALLS = frozenset({"unsafe_load", "unsafe_load_all", "full_load", "full_load_all", "read_pickle"})
PICKLING = frozenset({"joblib", "cloudpickle", "dill"})
UNVERIFIED = frozenset(
    {"_create_unverified_context", "PROTOCOL_SSLv2", "PROTOCOL_SSLv3", "PROTOCOL_TLSv1", "PROTOCOL_TLSv1_1"}
)
EVALUATORS = frozenset({"eval", "exec"})
PLACEHOLDER = re.compile(r"\s|^[<{$%(\[]|^(?:x+|\*+|\.+|none|null|true|false)$", re.IGNORECASE)
SHORTEST = 4
LONGEST = 400


def insecure_lines(path: str, source: bytes | None) -> tuple[Finding, ...]:
    """What stands in one file; nothing for a file that is too large or cannot be parsed."""
    if source is None or len(source) > SIZE_LIMIT_BYTES:
        return ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the file's own invalid escapes are not our business
            module = parse_module(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    found = [item for node in ast.walk(module) for item in _of_node(path, node)]
    return tuple(sorted(found, key=lambda item: item.line))


def _of_node(path: str, node: ast.AST) -> Iterator[Finding]:
    # The arguments of a function have no line of their own; their defaults have.
    lines = [part.lineno for part in (node, *ast.iter_child_nodes(node)) if hasattr(part, "lineno")]
    line = lines[0] if lines else 1
    for rule, message in (*_access(node), *_unverified(node), *_passwords(node), *_loading(node)):
        yield Finding(path=path, line=line, rule=rule, message=message, severity=Severity.HIGH)


def _access(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Assert):
        said = [_called(part) or _text(part) for part in ast.walk(node.test)]
        names = [name for name in said if name and ACCESS.search(_snake(name))]
        if names and not _narrows(node.test):
            yield "SECURE-3", f"an assertion decides about {names[0]}; an optimised run drops it"


def _narrows(test: ast.expr) -> bool:
    """Whether an assertion only tells a type checker what something is."""
    if isinstance(test, ast.Compare):
        return isinstance(test.ops[0], ast.IsNot) and isinstance(test.comparators[0], ast.Constant)
    return isinstance(test, ast.Call) and _called(test.func) in ("isinstance", "issubclass", "callable", "hasattr")


def _unverified(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Name | ast.Attribute) and _called(node) in UNVERIFIED:
        yield "SECURE-4", f"{_called(node)} protects no connection"
    pairs: list[tuple[str, ast.expr]] = []
    if isinstance(node, ast.Call):
        pairs = [(keyword.arg or "", keyword.value) for keyword in node.keywords]
    elif isinstance(node, ast.Assign):
        pairs = [(_called(target), node.value) for target in node.targets]
    for name, value in pairs:
        off = isinstance(value, ast.Constant) and value.value is False
        if off and name in ("verify", "verify_ssl", "check_hostname", "ssl_verify", "verify_certs", "validate_certs"):
            yield "SECURE-4", f"{name} is switched off"
        none = _called(value) == "CERT_NONE" or (isinstance(value, ast.Constant) and value.value == "CERT_NONE")
        if none and name in ("verify_mode", "cert_reqs"):
            yield "SECURE-4", f"{name} asks for no certificate"


def _passwords(node: ast.AST) -> Iterator[tuple[str, str]]:
    for name, value in _given(node):
        if _is_secret(name, value):
            yield "SECURE-5", f"a literal is used as {name}"


def _given(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Names with what they are given or compared with."""
    if isinstance(node, ast.Assign):
        yield from ((_called(target), node.value) for target in node.targets)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        yield _called(node.target), node.value
    elif isinstance(node, ast.Call):
        yield from ((keyword.arg or "", keyword.value) for keyword in node.keywords)
    elif isinstance(node, ast.Dict):
        yield from ((_text(key), value) for key, value in zip(node.keys, node.values, strict=True))
    elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
        yield _called(node.left), node.comparators[0]
        yield _called(node.comparators[0]), node.left
    elif isinstance(node, ast.arguments):
        names = [*node.posonlyargs, *node.args]
        defaults = zip(names[len(names) - len(node.defaults) :], node.defaults, strict=True)
        yield from ((argument.arg, default) for argument, default in defaults)
        for argument, default in zip(node.kwonlyargs, node.kw_defaults, strict=True):
            if default is not None:
                yield argument.arg, default


def _is_secret(name: str, value: ast.expr) -> bool:
    words, text = _snake(name), _text(value)
    if not SECRET.search(words) or DESCRIBED.search(words) or not SHORTEST <= len(text) <= LONGEST:
        return False
    return not PLACEHOLDER.search(text) and not (name.isupper() and text.casefold() == name.casefold())


def _loading(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Call):
        name, owner = _called(node.func), _called(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        if name in UNSAFE_CALLS or (owner in PICKLING and name in ("load", "loads")):
            yield "SECURE-6", f"{name} makes objects of data"
        if owner in ("builtins", "__builtins__") and name in EVALUATORS:
            yield "SECURE-6", f"{name} makes code of data"
        for keyword in node.keywords:
            if (
                keyword.arg == "allow_pickle"
                and isinstance(keyword.value, ast.Constant)
                and keyword.value.value is True
            ):
                yield "SECURE-6", "allow_pickle makes objects of data"
    elif isinstance(node, ast.Assign) and _called(node.value) in EVALUATORS and not isinstance(node.value, ast.Call):
        yield "SECURE-6", f"{_called(node.value)} under another name"


def _called(node: ast.AST) -> str:
    """The last part of a name, or the name that a call or an index is of."""
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute():
            return node.attr
        case ast.Subscript():
            return _text(node.slice)
        case _:
            return ""


def _text(node: ast.AST | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _snake(name: str) -> str:
    return CALL_WORDS.sub("_", name).replace("-", "_")
