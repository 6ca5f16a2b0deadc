"""What a repository's files are called, define and test: enough to find what a sentence is about.

Rules:
- Paths come from the tree, text from an export of it; files of at most `LARGEST_BYTES` are read, at most `MOST_FILES`.
- A path that no scope can name literally (a control character, a glob's sign) is left out.
- Definitions are found by their first words (`def`, `class`, `function`, ...), tests of Python by syntax tree.
- A test file belongs to a source when it is named after it, or names its module.

It runs nothing, and text that cannot be read counts as empty.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from councilor.domain.integrity import is_test_code, is_test_file
from councilor.domain.layout import FOREIGN_CODE
from councilor.domain.mention import stem
from councilor.domain.nodeid import bare
from councilor.domain.scope import admits, check_entry, is_glob
from councilor.domain.syntax import parse_module
from councilor.domain.testfile import is_foreign_test

__all__ = ["Terrain", "read_terrain"]

LARGEST_BYTES = 512 * 1024
MOST_FILES = 5_000
CODE = (".py", ".pyi", *FOREIGN_CODE)
DEFINITION = r"^\s*(?:export\s+)?(?:default\s+)?(?:async\s+)?(?:def|class|function|func|fn|const|let|interface|type)\s+"
EXPORT = re.compile(r"^export\s+(?:default\s+)?(?:async\s+)?(?:function|class|const|let)\s+(\w+)", re.MULTILINE)
EXPORTS = re.compile(r"^module\.exports\s*=\s*\{([^}]{0,2000})\}", re.MULTILINE)


def read_terrain(folder: Path, paths: Sequence[str]) -> Terrain:
    """The terrain of an exported tree.

    Args:
        paths: every file of the tree.
    """
    texts = {}
    for path in [path for path in paths if path.endswith(CODE) and _plain(path)][:MOST_FILES]:
        file = folder / path
        if file.is_file() and not file.is_symlink() and file.stat().st_size <= LARGEST_BYTES:
            texts[path] = file.read_text(encoding="utf-8", errors="replace")
    return Terrain(paths=tuple(sorted(path for path in paths if _plain(path))), texts=texts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Terrain:
    """A repository as it can be searched."""

    paths: tuple[str, ...]
    """Every file, sorted."""
    texts: dict[str, str] = field(default_factory=dict)
    """The text of source files."""

    def is_test(self, path: str) -> bool:
        """Whether a file is a test."""
        return is_test_code(path) or is_foreign_test(path)

    def inside(self, scope: Collection[str]) -> tuple[str, ...]:
        """The files that a scope admits."""
        return tuple(path for path in self.paths if admits(path, inside=tuple(scope), outside=()))

    def named(self, text: str) -> tuple[str, ...]:
        """Files or folders that a path, the end of a path, or a dotted module means."""
        text = text.strip("/").removeprefix("./")
        if text in self.paths or any(path.startswith(f"{text}/") for path in self.paths):
            return (text,)
        ending = tuple(path for path in self.paths if path.endswith(f"/{text}"))
        if ending or "/" in text:
            return ending
        return self._module(text.split("."))

    def _module(self, parts: Sequence[str]) -> tuple[str, ...]:
        """The file or folder of a module, by the longest beginning of its name that there is."""
        for length in range(len(parts), 0, -1):
            name = "/".join(parts[:length])
            for ending in (f"{name}.py", f"{name}/__init__.py"):
                found = tuple(path for path in self.paths if path == ending or path.endswith(f"/{ending}"))
                if found and (length > 1 or len(parts) == 1 or len(found) == 1):
                    return tuple(path.removesuffix("/__init__.py") for path in found)
        return ()

    def defining(self, names: Collection[str]) -> tuple[str, ...]:
        """Source files, no tests, that define one of the names; those that define most of them first."""
        counts: dict[str, int] = {}
        for name in names:
            pattern = re.compile(rf"{DEFINITION}{re.escape(name)}\b", re.MULTILINE)
            for path, text in self.texts.items():
                if name in text and not self.is_test(path) and pattern.search(text):
                    counts[path] = counts.get(path, 0) + 1
        return tuple(sorted(counts, key=lambda path: (-counts[path], path)))

    def sharing(self, words: Collection[str]) -> tuple[str, ...]:
        """Source files whose own names share most words with a sentence; none where one shares nothing."""
        wanted, scores = set(words), dict[str, int]()
        for path in self.texts:
            if not self.is_test(path):
                parts = {stem(part) for part in re.findall(r"[a-z]{3,}", PurePosixPath(path).stem.lower())}
                parent = {stem(part) for part in re.findall(r"[a-z]{4,}", PurePosixPath(path).parent.name.lower())}
                scores[path] = 2 * len(parts & wanted) + len(parent & wanted)
        best = max(scores.values(), default=0)
        return tuple(path for path, score in sorted(scores.items()) if score == best) if best >= 2 else ()

    def tests_of(self, sources: Collection[str]) -> tuple[str, ...]:
        """Test files of these sources: those that are named after one, else those that name a module of them."""
        files = [path for path in self.paths if is_test_file(path) or is_foreign_test(path)]
        names = {PurePosixPath(path).stem for path in sources}
        modules = [module for path in sources for module in _modules(path)]
        if found := tuple(path for path in files if _subject(path) in names):
            return found
        mentioning = [re.compile(rf"(?<![\w.]){re.escape(module)}(?!\w)") for module in modules]
        return tuple(path for path in files if any(pattern.search(self.texts.get(path, "")) for pattern in mentioning))

    def tests_named(self, names: Collection[str]) -> tuple[str, ...]:
        """Node ids of Python tests with one of these names."""
        wanted = {name for name in names if name.startswith(("test_", "Test"))}
        return tuple(
            nodeid
            for path, text in sorted(self.texts.items())
            if wanted and is_test_file(path) and any(name in text for name in wanted)
            for nodeid in _tests_in(path, text)
            if wanted & set(nodeid.split("::")[1:])
        )

    def has_test(self, nodeid: str) -> bool:
        """Whether a Python test may be there, with or without its parameters: inherited and generated ones, too."""
        path, *names = bare(nodeid).split("::")
        text = self.texts.get(path, "")
        if len(names) == 1:
            return re.search(rf"\b{re.escape(names[0])}\b", text) is not None
        *classes, name = names
        inherits = any(
            re.search(rf"^\s*class\s+{re.escape(each)}\s*\(|^{re.escape(each)}\s*=", text, re.M) for each in classes
        )
        here = all(re.search(rf"\b{re.escape(each)}\b", text) for each in classes)
        return here and (inherits or re.search(rf"\b{re.escape(name)}\b", text) is not None)

    def imported_by(self, tests: Collection[str]) -> tuple[str, ...]:
        """Sources whose module one of these test files names."""
        texts = [self.texts.get(path, "") for path in tests]
        return tuple(
            path
            for path in self.texts
            if not self.is_test(path)
            and not path.endswith("/__init__.py")
            and any(
                re.search(rf"(?<![\w.]){re.escape(module)}(?!\w)", text) for module in _modules(path) for text in texts
            )
        )

    def public_names(self, path: str) -> tuple[str, ...]:
        """Names that a module offers: `__all__`, or what it defines at its top without an underscore; exports."""
        text = self.texts.get(path, "")
        if not path.endswith((".py", ".pyi")):
            listed = [name for body in EXPORTS.findall(text) for name in re.findall(r"(\w+)\s*[,:]?", body)]
            return tuple(dict.fromkeys([*EXPORT.findall(text), *listed]))
        module = _parsed(text)
        names = [name for node in module.body for name in _defined(node) if not name.startswith("_")]
        listed = [name for node in module.body for name in _listed(node)]
        return tuple(dict.fromkeys(listed or names))

    def command_for(self, tests: Sequence[str]) -> tuple[str, ...]:
        """A command that runs these test files; none where we know no runner for them."""
        python = [path for path in tests if is_test_file(path)]
        script = [path for path in tests if re.search(r"\.[cm]?js$", path)]
        if python:
            return ("python", "-m", "pytest", "-q", *python)
        return ("node", "--test", *script) if script else ()


def _plain(path: str) -> bool:
    return not is_glob(path) and check_entry(path) is None


def _subject(path: str) -> str:
    """What a test file is named after: `cart` of `test_cart.py`, `cart_test.go`, `cart.test.js`."""
    name = PurePosixPath(path).name.partition(".")[0]
    return re.sub(r"^test_|(?:_test|_spec|Tests?)$", "", name)


def _modules(path: str) -> Iterator[str]:
    """Names by which a test may import a source."""
    bare = re.sub(r"\.\w+$", "", path).removesuffix("/__init__")
    if path.endswith((".py", ".pyi")):
        inner = re.sub(r"^(?:src|lib)/", "", bare)
        yield inner.replace("/", ".")
        package, _, name = inner.rpartition("/")
        if package:
            yield f"{package.replace('/', '.')} import {name}"
    else:
        yield PurePosixPath(bare).name


def _tests_in(path: str, text: str) -> Iterator[str]:
    for node in _parsed(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            yield f"{path}::{node.name}"
        elif isinstance(node, ast.ClassDef) and (node.bases or node.name.startswith("Test")):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and inner.name.startswith("test"):
                    yield f"{path}::{node.name}::{inner.name}"


def _parsed(text: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return parse_module(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id


def _listed(node: ast.stmt) -> Iterator[str]:
    if "__all__" in _defined(node) and isinstance(node, ast.Assign) and isinstance(node.value, ast.List | ast.Tuple):
        for item in node.value.elts:
            if isinstance(item, ast.Constant) and isinstance(item.value, str):
                yield item.value
