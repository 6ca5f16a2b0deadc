"""The house rules that a machine can check: layers, sizes, names, headers, nothing left unfinished.

That every outside port named in app/ has a deadline is checked below.
"""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "councilor"
LONGEST_LINES = 500
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "misc"}
UNFINISHED = ("TODO", "FIXME", "XXX", "HACK")
# Adapters hand on variables of the host by name; programs inside a sandbox find their channel in one.
ENVIRONMENT_READERS = ("settings/", "adapters/", "app/")

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Module:
    """One source file, parsed once."""

    def __init__(self, path: Path) -> None:
        self.name = str(path.relative_to(SOURCE))
        self.text = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text, filename=self.name)

    @property
    def is_program(self) -> bool:
        """Whether it is started by itself, inside a sandbox for instance, rather than imported."""
        return 'if __name__ == "__main__":' in self.text

    def nodes(self, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
        return (node for node in ast.walk(self.tree) if isinstance(node, kinds))


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    found = [Module(path) for path in sorted(SOURCE.rglob("*.py"))]
    assert len(found) > 30
    return found


def test_layers_siblings_and_backends_keep_apart():
    linter = Path(sys.executable).with_name("lint-imports")
    command = [str(linter), "--no-cache", "--config", str(ROOT / "pyproject.toml")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "4 kept, 0 broken" in result.stdout


def test_a_module_fits_its_page(modules):
    assert {m.name: n for m in modules if (n := len(m.text.splitlines())) > LONGEST_LINES} == {}


def test_a_module_is_named_for_what_it_is(modules):
    def vague(module: Module) -> bool:
        parts = Path(module.name).with_suffix("").parts
        return any(set(part.split("_")) & FORBIDDEN_NAMES for part in parts)

    assert [m.name for m in modules if vague(m)] == []


def test_a_module_begins_with_a_sentence_on_what_it_decides(modules):
    def says(module: Module) -> bool:
        first = (ast.get_docstring(module.tree) or "").split("\n\n")[0]
        return first.endswith((".", "?", ":", "!"))

    assert [m.name for m in modules if not says(m)] == []


def test_a_module_postpones_annotations(modules):
    def postpones(module: Module) -> bool:
        imports = [node for node in module.tree.body if isinstance(node, ast.ImportFrom)]
        return any(
            alias.name == "annotations" for node in imports if node.module == "__future__" for alias in node.names
        )

    # A package marker holds nothing but its docstring.
    assert [m.name for m in modules if len(m.tree.body) > 1 and not postpones(m)] == []


def test_a_module_lists_its_public_names(modules):
    def has_public_names(module: Module) -> bool:
        defined = [node for node in module.tree.body if isinstance(node, ast.ClassDef | Function)]
        return any(not node.name.startswith("_") for node in defined)

    def lists_them(module: Module) -> bool:
        targets = [to for node in module.tree.body if isinstance(node, ast.Assign) for to in node.targets]
        return any(isinstance(to, ast.Name) and to.id == "__all__" for to in targets)

    assert [m.name for m in modules if has_public_names(m) and not m.is_program and not lists_them(m)] == []


def test_no_comment_promises_work(modules):
    def promises(module: Module) -> Iterator[str]:
        for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
            if token.type == tokenize.COMMENT and any(mark in token.string for mark in UNFINISHED):
                yield f"{module.name}:{token.start[0]} {token.string}"

    assert [found for m in modules for found in promises(m)] == []


def test_no_function_is_a_stub(modules):
    def is_stub(function: Function) -> bool:
        body = function.body[1:] if ast.get_docstring(function) else function.body
        if len(body) != 1:
            return False
        only = body[0]
        if isinstance(only, ast.Raise):
            return "NotImplementedError" in ast.unparse(only)
        return isinstance(only, ast.Pass) or (
            isinstance(only, ast.Expr) and isinstance(only.value, ast.Constant) and only.value.value is Ellipsis
        )

    def declared(module: Module) -> set[ast.AST]:
        """Methods of protocols, which have no body on purpose."""
        classes = [node for node in module.nodes(ast.ClassDef) if isinstance(node, ast.ClassDef)]
        protocols = [node for node in classes if any("Protocol" in ast.unparse(base) for base in node.bases)]
        return {method for protocol in protocols for method in protocol.body}

    stubs = [
        f"{m.name}:{node.lineno} {node.name}"
        for m in modules
        for node in m.nodes(ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, Function) and node not in declared(m) and is_stub(node)
    ]
    assert stubs == []


def test_importing_a_module_does_no_work(modules):
    loose = [
        f"{m.name}:{node.lineno}"
        for m in modules
        for node in m.tree.body
        if isinstance(node, ast.For | ast.While | ast.With | ast.AsyncWith | ast.Await)
    ]
    assert loose == []


def test_a_task_is_awaited_where_it_is_started(modules):
    """A `TaskGroup` does so by itself; a task made by hand must be awaited in the function that makes it."""
    orphans = [
        f"{m.name}:{line}"
        for m in modules
        for function in m.nodes(ast.FunctionDef, ast.AsyncFunctionDef)
        for line, name in _tasks_made_by_hand(function)
        if name is None or name not in _awaited_names(function)
    ]
    assert orphans == []


def _tasks_made_by_hand(function: ast.AST) -> Iterator[tuple[int, str | None]]:
    makers = {"asyncio.create_task", "asyncio.ensure_future"}
    kept: dict[ast.AST, str] = {
        node.value: node.targets[0].id
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in makers:
            yield node.lineno, kept.get(node)


def _awaited_names(function: ast.AST) -> set[str]:
    awaits = [node for node in ast.walk(function) if isinstance(node, ast.Await)]
    return {name.id for node in awaits for name in ast.walk(node) if isinstance(name, ast.Name)}


def test_only_surfaces_and_programs_print(modules):
    prints = [
        f"{m.name}:{node.lineno}"
        for m in modules
        if not m.name.startswith("surfaces/") and not m.is_program
        for node in m.nodes(ast.Call)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    ]
    assert prints == []


def test_the_environment_is_not_read_in_passing(modules):
    readers = {
        m.name
        for m in modules
        for node in m.nodes(ast.Attribute)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv"}
    }
    assert sorted(name for name in readers if not name.startswith(ENVIRONMENT_READERS)) == []


def test_source_is_read_where_threads_cannot_spoil_it(modules):
    """`ast.parse` may fail for good source before Python 3.11.8; what runs in a sandbox has one thread."""
    found = [
        module.name
        for module in modules
        if "sandboxed/" not in module.name
        for node in module.nodes(ast.Call)
        if ast.unparse(node.func) == "ast.parse"
    ]
    assert set(found) == {"domain/syntax.py"}, "use domain/syntax.py"


def test_committed_text_names_no_path_of_the_machine_it_was_written_on():
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, cwd=ROOT, check=False, timeout=60)
    if listed.returncode != 0:
        pytest.skip("this is no git checkout")
    workplace = "/" + "work/"
    found = [
        name
        for name in listed.stdout.decode().split("\0")
        if name and (ROOT / name).is_file() and workplace.encode() in (ROOT / name).read_bytes()
    ]
    assert found == []


# Adapters that app/ wires without guards, and what ends their calls instead.
OWN_LIMITS = {
    "AcpWorker": "its profile's timeout_s is the job's limit",
    "ArchiveReader": "reads one local file",
    "ArchiveWriter": "writes one local file",
    "Bandit": "runs sandboxed jobs only",
    "BreakerFolder": "reads and writes small local files",
    "Bubblewrap": "every job has `Limits.wall_s`",
    "CollectorProbe": "the health monitor limits every look",
    "CommandPublisher": "publish.timeout_s",
    "CommandWorker": "its profile's timeout_s is the job's limit",
    "Dialect": "a value",
    "DetectSecrets": "runs sandboxed jobs only",
    "DatabaseProbe": "the health monitor limits every look",
    "DbosEngine": "every step has timeout_s",
    "DiskProbe": "the health monitor limits every look",
    "Ed25519Signer": "computes, and reads one small local file",
    "EmbeddedPostgres": "timeout_s of its own for up and down",
    "Griffe": "runs sandboxed jobs only",
    "GitProbe": "the health monitor limits every look",
    "GitRepositories": "every git command has a timeout",
    "Imports": "runs sandboxed jobs only",
    "KeyProbe": "the health monitor limits every look",
    "LlmWorker": "the assignment's timeout_s; its calls and jobs have their own",
    "KeyFolder": "computes, and reads small local files",
    "LogProbe": "the health monitor limits every look",
    "LeaseKeeper": "connects and asks within a third of the lease",
    "Mypy": "runs sandboxed jobs only",
    "PoolProbe": "counts, and waits for nothing",
    "ProjectsRunner": "hands on to the runner inside it only",
    "PatchFolder": "writes one file",
    "Placing": "a value",
    "PrometheusMetrics": "computes",
    "Publication": "writes one small local file",
    "PytestRunner": "runs sandboxed jobs only",
    "LoggedTracer": "never waits",
    "ExportFolder": "reads files of one folder",
    "PresentedKeys": "computes",
    "PytestServers": "runs sandboxed jobs only, and limits every trial",
    "QueueProbe": "the health monitor limits every look",
    "ReportingRunner": "hands on to the runner inside it, and reads files of at most 10 MiB",
    "SandboxedTester": "runs sandboxed jobs only",
    "RepairWorker": "runs tests only, within the assignment's timeout_s",
    "RemotePush": "publish.timeout_s",
    "RepositoryLock": "waits only when asked to, and can be cancelled",
    "RedisProbe": "the health monitor limits every look",
    "Ruff": "runs sandboxed jobs only",
    "Snapshot": "pg_dump and every statement have limits",
    "StatsdMetrics": "UDP, from a thread of its own",
    "SystemClock": "asks the machine",
    "SystemIds": "computes",
    "SystemRandomness": "asks the machine",
    "Tamper": "a value",
    "UdpProbe": "the health monitor limits every look",
    "VirtualEnvironments": "runs sandboxed jobs only",
    "Pool": "connect and statement timeouts; its ports are guarded",
}


def test_every_outside_port_has_a_deadline():
    wiring = [ast.parse(file.read_text(encoding="utf-8")) for file in (SOURCE / "app").glob("*.py")]
    tree = ast.Module(body=[node for each in wiring for node in each.body], type_ignores=[])
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("councilor.adapters")
        for alias in node.names
        if alias.name[0].isupper() and not alias.name.isupper()  # a class, no constant
    }
    guarded_names = {
        name.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for guarded in _guarded_by(node)
        for name in ast.walk(guarded)
        if isinstance(name, ast.Name)
    }
    built = {  # what a guarded name was made by, such as `storage = DatabaseArtifactStorage(pool)`
        name.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AsyncWith)
        and guarded_names & {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        for name in ast.walk(node)
        if isinstance(name, ast.Name)
    }
    assert guarded_names, "nothing is guarded"
    assert imported - built - guarded_names - set(OWN_LIMITS) == set(), (
        "wrap it with Guarding.around, or say here what ends its calls"
    )


def _guarded_by(call: ast.Call) -> Iterator[ast.AST]:
    """What a call puts guards around: the first argument of `.around`, and the second one of `_guarded`."""
    if isinstance(call.func, ast.Attribute) and call.func.attr == "around":
        yield call.args[0]
    elif isinstance(call.func, ast.Name) and call.func.id == "_guarded":
        yield call.args[1]


def test_guards_are_put_together_in_one_place(modules):
    guards = {"with_deadline", "with_retry", "with_breaker", "with_measuring", "with_fallback"}
    users = {
        m.name
        for m in modules
        if not m.name.startswith("guards/")
        for node in m.nodes(ast.ImportFrom)
        if isinstance(node, ast.ImportFrom) and guards & {alias.name for alias in node.names}
    }
    assert users == {"app/guarding.py"}
