"""Ruff in the sandbox: the repository's configuration, files that are hard to name, and runs that measured nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from analysis import make_environment, write

from councilor.adapters.analyzers.ruff import Ruff
from councilor.adapters.sandbox.bubblewrap import Bubblewrap
from councilor.adapters.system import SystemClock
from councilor.domain.analysis import AnalysisRun
from councilor.ports.analyzer import AnalysisRequest
from councilor.ports.environment import Environment
from councilor.ports.metrics import NoMetrics


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    tools = tmp_path_factory.mktemp("environment") / "tools"
    tools.mkdir()
    return make_environment(tools)


@pytest.fixture
def ruff(tmp_path: Path) -> Ruff:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    clock = SystemClock()
    return Ruff(sandbox=Bubblewrap(scratch=scratch, metrics=NoMetrics(), clock=clock), clock=clock, scratch=scratch)


async def lint(ruff: Ruff, environment: Environment, folder: Path, *paths: str) -> AnalysisRun:
    request = AnalysisRequest(
        base=folder, candidate=folder, base_paths=(), candidate_paths=paths, environment=environment, timeout_s=60.0
    )
    run = (await ruff.analyze(request)).candidate
    assert run is not None
    return run


async def test_findings_carry_path_line_and_rule(ruff: Ruff, environment: Environment, tmp_path: Path) -> None:
    folder = write(tmp_path / "repo", {"src/a.py": "import os\nimport sys\n\nprint(sys)\n", "src/b.py": "import re\n"})
    run = await lint(ruff, environment, folder, "src/a.py")
    assert [(each.path, each.line, each.rule) for each in run.findings] == [("src/a.py", 1, "F401")]
    assert run.exit_code == 1
    assert not run.error


async def test_a_clean_file_has_exit_code_0(ruff: Ruff, environment: Environment, tmp_path: Path) -> None:
    run = await lint(ruff, environment, write(tmp_path / "repo", {"a.py": "a = 1\n"}), "a.py")
    assert (run.findings, run.exit_code, run.error) == ((), 0, "")


async def test_the_repository_configures_it(ruff: Ruff, environment: Environment, tmp_path: Path) -> None:
    configuration = '[tool.ruff]\nextend-exclude = ["old"]\n[tool.ruff.lint]\nselect = ["E711"]\n'
    source = "import os\na = 1\nif a == None:\n    pass\n"
    folder = write(tmp_path / "repo", {"pyproject.toml": configuration, "a.py": source, "old/b.py": source})
    run = await lint(ruff, environment, folder, "a.py", "old/b.py")
    assert [(each.path, each.rule) for each in run.findings] == [("a.py", "E711")]


@pytest.mark.parametrize("path", ["-a.py", "a b.py", "new\nline.py", "größe.py", "--config=x.py", "*.py", "[ab].py"])
async def test_any_name_is_a_name(ruff: Ruff, environment: Environment, tmp_path: Path, path: str) -> None:
    folder = write(tmp_path / "repo", {path: "import os\n", "other.py": "import re\n"})
    run = await lint(ruff, environment, folder, path)
    assert [(each.path, each.rule) for each in run.findings] == [(path, "F401")]


async def test_a_file_that_does_not_parse_is_a_finding(ruff: Ruff, environment: Environment, tmp_path: Path) -> None:
    run = await lint(ruff, environment, write(tmp_path / "repo", {"a.py": "def f(:\n"}), "a.py")
    assert run.findings
    assert run.findings[0].line == 1
    assert not run.error


async def test_only_regular_python_files_are_read(ruff: Ruff, environment: Environment, tmp_path: Path) -> None:
    folder = write(tmp_path / "repo", {"note.ipynb": "{}", "a.txt": "import os\n"})
    outside = tmp_path / "outside.py"
    outside.write_text("import os\n")
    (folder / "link.py").symlink_to(outside)
    paths = ("note.ipynb", "a.txt", "link.py", "gone.py", "../outside.py", str(outside))
    run = await lint(ruff, environment, folder, *paths)
    assert (run.findings, run.exit_code, run.error) == ((), 0, "")


async def test_ignoring_a_file_in_git_does_not_hide_it(ruff: Ruff, environment: Environment, tmp_path: Path) -> None:
    folder = write(tmp_path / "repo", {".gitignore": "*.py\n", "a.py": "import os\n"})
    assert len((await lint(ruff, environment, folder, "a.py")).findings) == 1


@pytest.mark.parametrize(
    "configuration", ['[lint]\nselect = ["NOPE"]\n', 'extend = "../outside.toml"\n', "not = [toml"]
)
async def test_a_configuration_that_cannot_be_used_is_an_error(
    ruff: Ruff, environment: Environment, tmp_path: Path, configuration: str
) -> None:
    (tmp_path / "outside.toml").write_text("[lint]\nselect = []\n")
    folder = write(tmp_path / "repo", {"ruff.toml": configuration, "a.py": "import os\n"})
    run = await lint(ruff, environment, folder, "a.py")
    assert run.error
    assert run.exit_code == 2
    assert run.findings == ()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 1", "cannot be read"),
        ("echo '[]' > $file; exit 1", "contradicts"),
        ("echo 'nonsense' > $file; exit 0", "cannot be read"),
        ("echo '[1]' > $file; exit 1", "cannot be read"),
        ("ln -s /etc/passwd $file; exit 0", "cannot be read"),
    ],
)
async def test_a_linter_that_contradicts_itself_has_measured_nothing(
    ruff: Ruff, environment: Environment, tmp_path: Path, script: str, words: str
) -> None:
    program = tmp_path / "ruff"
    program.write_text(f'#!/bin/sh\nfile="${{3#--output-file=}}"\n{script}\n')
    program.chmod(0o755)
    folder = write(tmp_path / "repo", {"a.py": "import os\n"})
    run = await lint(ruff, replace(environment, ruff=program), folder, "a.py")
    assert words in run.error
    assert run.findings == ()


async def test_nothing_is_left_in_the_scratch_folder(ruff: Ruff, environment: Environment, tmp_path: Path) -> None:
    await lint(ruff, environment, write(tmp_path / "repo", {"a.py": "import os\n"}), "a.py")
    assert not list((tmp_path / "scratch").glob("ruff-*"))
