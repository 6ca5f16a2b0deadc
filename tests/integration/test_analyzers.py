"""Analysers in the sandbox: what each finds in two trees, whose configuration counts, and what keeps them from it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from analysis import make_environment, write

from councilor.adapters.analyzers.bandit import Bandit
from councilor.adapters.analyzers.detect_secrets import DetectSecrets
from councilor.adapters.analyzers.griffe import Griffe
from councilor.adapters.analyzers.imports import Imports
from councilor.adapters.analyzers.mypy import Mypy
from councilor.adapters.sandbox.choose import KINDS
from councilor.adapters.system import SystemClock
from councilor.domain.analysis import AnalysisPair, AnalysisRun
from councilor.domain.gate import Severity
from councilor.ports.analyzer import AnalysisRequest, Analyzer
from councilor.ports.environment import Environment
from councilor.ports.metrics import NoMetrics

TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
Analyze = Callable[..., Any]
FOLDERS = ("vulnerabilities-", "credentials-", "breakages-", "type_errors-", "imports-")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    tools = tmp_path_factory.mktemp("environment") / "tools"
    tools.mkdir()
    return make_environment(tools)


@pytest.fixture
def analyze(tmp_path: Path, environment: Environment) -> Analyze:
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    async def run(
        kind: Any, base: dict[str, str], candidate: dict[str, str], inside: str = "bubblewrap", **more: Any
    ) -> AnalysisPair:
        sandbox = KINDS[inside](scratch=scratch, metrics=NoMetrics(), clock=SystemClock())
        analyzer: Analyzer = kind(sandbox=sandbox, scratch=scratch)
        changed = [path for path in {**base, **candidate} if base.get(path) != candidate.get(path)]
        values: dict[str, Any] = {
            "base": write(tmp_path / "base", base),
            "candidate": write(tmp_path / "candidate", candidate),
            "base_paths": tuple(path for path in changed if path in base and analyzer.reads(path)),
            "candidate_paths": tuple(path for path in changed if path in candidate and analyzer.reads(path)),
            "environment": environment,
            "timeout_s": 60.0,
        }
        pair = await analyzer.analyze(AnalysisRequest(**(values | more)))
        left = [path.name for path in scratch.iterdir() if path.name.startswith(FOLDERS)]
        assert left == [], "something was left behind"
        return pair

    return run


def seen(run: AnalysisRun | None) -> list[tuple[str, int, str]]:
    assert run is not None
    assert not run.error
    return [(item.path, item.line, item.rule) for item in run.findings]


INSECURE = """
    import hashlib, pickle, subprocess, tempfile
    def f(x, cursor):
        subprocess.run(x, shell=True)  # nosec
        pickle.loads(x)
        hashlib.md5(x)
        tempfile.mktemp()
        eval(x)
        cursor.execute("select a from b where c = '%s'" % x)
        assert x
    password = "hunter2hunter"
"""


async def test_bandit_finds_what_is_insecure_and_no_comment_hides_it(analyze: Analyze) -> None:
    pair = await analyze(Bandit, {"a.py": "x = 1\n"}, {"a.py": INSECURE})
    assert seen(pair.base) == []
    found = {rule: line for _, line, rule in seen(pair.candidate)}
    assert found.items() >= {"B602": 3, "B301": 4, "B324": 5, "B306": 6, "B307": 7, "B608": 8, "B105": 10}.items()
    assert "B101" not in found
    assert pair.candidate.configured is False
    severities = {item.rule: item.severity for item in pair.candidate.findings}
    assert (severities["B602"], severities["B608"]) == (Severity.HIGH, Severity.MEDIUM)
    assert "hunter2hunter" not in repr(pair)


async def test_bandit_is_configured_by_the_base(analyze: Analyze) -> None:
    for name, text in (("pyproject.toml", '[tool.bandit]\nskips = ["B307"]\n'), (".bandit", "[bandit]\nskips: B307\n")):
        pair = await analyze(Bandit, {name: text, "a.py": "x = 1\n"}, {name: text, "a.py": "eval(x)\n"})
        assert seen(pair.candidate) == []
        assert pair.candidate.configured is True


async def test_bandit_says_which_file_it_cannot_read(analyze: Analyze) -> None:
    pair = await analyze(Bandit, {"a.py": "x = 1\n"}, {"a.py": "x = (\n", "b.py": "eval(x)\n"})
    assert [(path, rule) for path, _, rule in seen(pair.candidate)] == [("b.py", "B307"), ("a.py", "unreadable")]


async def test_a_tool_that_does_not_end_on_the_candidate_is_the_candidates_fault(analyze: Analyze) -> None:
    slow = "x = (" + "1 + (" * 60 + "2" + ")" * 61 + "\n"
    endless = slow + "".join(f"def f{index}(a, b): return eval(a) if b else exec(b)\n" for index in range(40_000))
    pair = await analyze(Bandit, {"a.py": "x = 1\n"}, {"a.py": endless}, timeout_s=4.0)
    assert pair.base is not None
    assert not pair.base.error
    assert pair.candidate is not None
    assert "in time" in pair.candidate.error
    assert pair.candidate.findings == ()


async def test_secrets_are_marked_and_never_repeated(analyze: Analyze) -> None:
    base = {"a.py": f'old = "{TOKEN}"\n'}
    second = TOKEN[:-3] + "xyz"
    candidate = {"a.py": "x = 1\n", "b.yaml": f'old: "{TOKEN}"\nnew: "{second}"  # pragma: allowlist secret\n'}
    pair = await analyze(DetectSecrets, base, candidate)
    tokens = [item for item in pair.candidate.findings if item.rule == "GitHub Token"]
    (old,) = [item for item in pair.base.findings if item.rule == "GitHub Token"]
    assert [(item.path, item.line, item.severity) for item in tokens] == [
        ("b.yaml", 1, Severity.HIGH),
        ("b.yaml", 2, Severity.HIGH),
    ]
    assert tokens[0].message == old.message != tokens[1].message
    assert TOKEN not in repr(pair)
    assert second not in repr(pair)


async def test_secrets_are_found_in_long_lines(analyze: Analyze) -> None:
    long = "x" * 3_980 + f' "{TOKEN}" ' + "y" * 9_000
    pair = await analyze(DetectSecrets, {"a.js": "x\n"}, {"a.js": f"x\n{long}\n"})
    assert ("a.js", 2, "GitHub Token") in seen(pair.candidate)


async def test_secrets_are_not_looked_for_in_bytes(analyze: Analyze) -> None:
    pair = await analyze(DetectSecrets, {"a.bin": "x"}, {"a.bin": f'\0 token = "{TOKEN}"'})
    assert seen(pair.candidate) == []


API = """
    __all__ = ["total", "gone", "Shop"]
    def total(prices, rate=1): return sum(prices) * rate
    def gone(): return 1
    def inner(): return 2
    class Shop:
        def open(self, hour): return hour
        def _close(self): return 1
"""
NEW_API = """
    from b import gone_not
    __all__ = ["total", "gone", "Shop"]
    def total(prices, day, rate=2): return sum(prices) * rate
    class Shop:
        def open(self): return 1
"""


async def test_griffe_finds_what_callers_lose(analyze: Analyze) -> None:
    pair = await analyze(
        Griffe,
        {"pkg/a.py": API, "pkg/b.py": "x = 1\n", "pkg/_private.py": "def f(): pass\n"},
        {"pkg/a.py": NEW_API, "pkg/_private.py": "x = 1\n"},
    )
    assert seen(pair.base) == []
    found = {(item.rule, item.message.partition(":")[0], item.severity) for item in pair.candidate.findings}
    assert found == {
        ("MODULE_REMOVED", "b", Severity.HIGH),
        ("OBJECT_REMOVED", "a.gone", Severity.HIGH),
        ("PARAMETER_ADDED_REQUIRED", "a.total(day)", Severity.HIGH),
        ("PARAMETER_MOVED", "a.total(rate)", Severity.MEDIUM),
        ("PARAMETER_CHANGED_DEFAULT", "a.total(rate)", Severity.LOW),
        ("PARAMETER_REMOVED", "a.Shop.open(hour)", Severity.HIGH),
    }


async def test_griffe_lets_ordinary_changes_be(analyze: Analyze) -> None:
    moved = "from pkg.b import gone\n" + textwrap.dedent(API).replace("def gone(): return 1\n", "").replace(
        "rate=1): return sum(prices)", "rate=1, *, day=None): return sum(list(prices))"
    )
    pair = await analyze(Griffe, {"pkg/a.py": API}, {"pkg/a.py": moved, "pkg/b.py": "def gone(): return 1\n"})
    assert seen(pair.candidate) == []


async def test_griffe_says_what_it_cannot_read(analyze: Analyze) -> None:
    pair = await analyze(Griffe, {"a.py": API}, {"a.py": "def total(:\n"})
    assert [rule for _, _, rule in seen(pair.candidate)] == ["unreadable"]


TYPED = "def f(x: int) -> int:\n    return x\n"
WRONG = "def f(x: int) -> int:\n    return str(x)\n"
LOOSE = "def g(x, y=None):\n    y = 'a' if x else 1\n    return y + x\nz = []\n"


async def test_mypy_finds_new_errors_where_there_are_annotations(analyze: Analyze) -> None:
    pair = await analyze(Mypy, {"a.py": TYPED}, {"a.py": WRONG + LOOSE, "b.py": "import nowhere\nx: int = nowhere.y\n"})
    assert seen(pair.base) == []
    assert seen(pair.candidate) == [("a.py", 2, "return-value")]
    assert pair.candidate.configured is False


async def test_mypy_has_nothing_to_say_without_annotations(analyze: Analyze) -> None:
    assert await analyze(Mypy, {"a.py": "x = 1\n"}, {"a.py": LOOSE}) == AnalysisPair()


async def test_mypy_is_configured_by_the_base_and_loads_no_plugin(analyze: Analyze) -> None:
    plugin = "raise SystemExit('a plugin ran')\n"
    for name, text in (
        ("pyproject.toml", '[tool.mypy]\ndisallow_untyped_defs = true\nplugins = ["plugin.py"]\n'),
        ("mypy.ini", "[mypy]\ndisallow_untyped_defs = True\nplugins = plugin.py\n"),
    ):
        files = {name: text, "plugin.py": plugin}
        pair = await analyze(Mypy, {**files, "a.py": "x = 1\n"}, {**files, "a.py": "def g(x):\n    return x\n"})
        assert seen(pair.candidate) == [("a.py", 1, "no-untyped-def")]
        assert pair.candidate.configured is True


async def test_mypy_follows_the_tree_it_checks(analyze: Analyze) -> None:
    base = {"pkg/__init__.py": "", "pkg/a.py": TYPED, "pkg/b.py": "from pkg.a import f\ny: int = f(1)\n"}
    candidate = {**base, "pkg/a.py": "def f(x: int) -> str:\n    return str(x)\n", "pkg/b.py": base["pkg/b.py"] + "\n"}
    pair = await analyze(Mypy, base, candidate)
    assert seen(pair.candidate) == [("pkg/b.py", 2, "assignment")]


async def test_mypy_reports_what_blocks_it(analyze: Analyze) -> None:
    pair = await analyze(Mypy, {"a.py": TYPED}, {"a.py": "def f(x: int) -> int:\n    return (\n"})
    assert [rule for _, _, rule in seen(pair.candidate)] == ["syntax"]


async def test_imports_that_break(analyze: Analyze) -> None:
    base = {
        "src/pkg/__init__.py": "from pkg.a import f\n",
        "src/pkg/a.py": "def f(): return 1\n",
        "src/pkg/old.py": "import nowhere\n",
        "setup.py": "raise SystemExit(1)\n",
        "tests/test_a.py": "x = 1\n",
    }
    candidate = {
        **base,
        "src/pkg/a.py": "def g(): return 1\n",
        "src/pkg/old.py": "import nowhere\nx = 1\n",
        "src/pkg/new.py": "import django\n",
        "setup.py": "raise SystemExit(2)\n",
        "tests/test_a.py": "x = (\n",
    }
    pair = await analyze(Imports, base, candidate)
    found = [(item.path, item.rule) for item in pair.candidate.findings]
    assert found == [
        ("tests/test_a.py", "syntax"),
        ("src/pkg/__init__.py", "import"),
        ("src/pkg/old.py", "import"),
        ("src/pkg/new.py", "import"),
    ]
    assert [(item.path, item.rule) for item in pair.base.findings] == [("src/pkg/old.py", "missing")]
    fine = {**base, "src/pkg/a.py": "def f(): return 2\n", "setup.py": "raise SystemExit(2)\n"}
    pair = await analyze(Imports, base, fine)
    assert seen(pair.candidate) == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os\nos._exit(0)\n", "ended its process with code 0"),
        ("raise SystemExit\n", "SystemExit"),
        ("while True: pass\n", "did not end in time"),
        ("1 / 0\n", "ZeroDivisionError"),
    ],
)
async def test_an_import_that_ends_everything(analyze: Analyze, code: str, words: str) -> None:
    pair = await analyze(
        Imports, {"a.py": "x = 1\n", "b.py": "x = 1\n"}, {"a.py": code, "b.py": "x = 2\n"}, timeout_s=3.0
    )
    assert [(item.path, item.rule) for item in pair.candidate.findings] == [("a.py", "import")]
    assert words in pair.candidate.findings[0].message
    assert pair.base.findings == ()


@pytest.mark.parametrize("kind", [Bandit, DetectSecrets, Griffe, Mypy, Imports])
async def test_names_that_are_hard_to_write(analyze: Analyze, kind: Any) -> None:
    names = ["a b.py", "-x.py", "größe.py", "new\nline.py", "*.py"]
    pair = await analyze(kind, dict.fromkeys(names, "x: int = 1\n"), dict.fromkeys(names, "x: int = 2\n"))
    assert pair.candidate is not None
    assert (pair.candidate.error, pair.candidate.findings) == ("", ())


async def test_a_link_is_followed_by_nobody(analyze: Analyze, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "candidate").mkdir()
    (tmp_path / "outside.py").write_text(f'eval(x)\nkey = "{TOKEN}"\n')
    (tmp_path / "candidate" / "a.py").symlink_to(tmp_path / "outside.py")
    for kind in (Bandit, DetectSecrets, Griffe):
        pair = await analyze(kind, {}, {}, candidate_paths=("a.py",))
        assert seen(pair.candidate) == []


@pytest.mark.parametrize("kind", [Bandit, DetectSecrets, Griffe, Mypy, Imports])
async def test_they_run_where_the_folder_of_packages_cannot_be_listed(analyze: Analyze, kind: Any) -> None:
    pair = await analyze(kind, {"a.py": TYPED}, {"a.py": TYPED + "y: int = f(1)\n"}, "landlock")
    assert seen(pair.base) == seen(pair.candidate) == []
