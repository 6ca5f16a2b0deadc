"""Environments built for real: from the index, from a wheel folder, and from nothing at all."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from uv import find_uv_bin

from councilor.adapters.environment import VirtualEnvironments
from councilor.adapters.git import GitRepositories, GitRepository
from councilor.adapters.system import SystemClock
from councilor.errors import InputError
from councilor.ports.environment import Environment
from councilor.ports.metrics import NoMetrics
from councilor.ports.sandbox import Job, Limits, Mount, Sandbox

Missing = Callable[[str], None]


class LaterClock(SystemClock):
    """The system's clock, some days ahead."""

    days = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=self.days)


@pytest.fixture
def clock() -> LaterClock:
    return LaterClock()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all tests here: the tools are copied once, and every test has its own repository."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture
def environments(shelf: Path, sandbox: Sandbox, clock: LaterClock) -> VirtualEnvironments:
    return VirtualEnvironments(folder=shelf, sandbox=sandbox, host_env=os.environ, clock=clock, metrics=NoMetrics())


def wheel(name: str, code: str) -> bytes:
    """A wheel of one module, version 1.0."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text)}"
        for path, text in files.items()
    ]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,\n"])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return buffer.getvalue()


async def committed(folder: Path, files: dict[str, str | bytes]) -> tuple[GitRepository, str]:
    """A repository of these files, and its tree."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    identity = ("-c", "user.name=U", "-c", "user.email=u@example.org")
    for arguments in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "--allow-empty", "-m", "x")):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    repository = await GitRepositories(clock=SystemClock(), metrics=NoMetrics()).open(folder)
    return repository, (await repository.resolve("HEAD")).tree


async def ask(sandbox: Sandbox, environment: Environment, code: str, *, cwd: Path | None = None) -> str:
    """What the environment's interpreter prints, in a sandbox that sees only what a job would."""
    place = cwd or environment.tools
    job = Job(
        argv=(str(environment.python), "-I", "-c", code),
        cwd=place,
        mounts=(*environment.mounts, *([Mount(path=cwd)] if cwd else [])),
        limits=Limits(wall_s=60),
    )
    result = await sandbox.run(job)
    assert result.exit_code == 0, result.output.decode()
    return result.output.decode().strip()


PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "the-project"
version = "2.5"
requires-python = ">=3.8"
{more}
[project.scripts]
tell = "the_project:main"
"""


@pytest.fixture
def indexed(service_missing: Missing, tmp_path: Path) -> None:
    """Skip where no package index answers."""
    command = [find_uv_bin(), "pip", "install", "--dry-run", "--no-deps", "--target", str(tmp_path / "t"), "six"]
    if subprocess.run(command, capture_output=True, timeout=60).returncode:
        service_missing("no package index answers")


async def test_nothing_declared_gives_a_plain_interpreter(
    environments: VirtualEnvironments, sandbox: Sandbox, tmp_path: Path
) -> None:
    repository, tree = await committed(tmp_path / "r", {"a.py": ""})
    environment = await environments.prepare(repository, tree)
    assert environment.source == "none"
    code = "import sys, importlib.metadata as m; print(sys.prefix, [d.name for d in m.distributions()])"
    assert await ask(sandbox, environment, code) == f"{environment.python.parent.parent} []"


async def test_the_tools_come_last_and_work(
    environments: VirtualEnvironments, sandbox: Sandbox, tmp_path: Path
) -> None:
    repository, tree = await committed(
        tmp_path / "r", {"wheels/pytest-1.0-py3-none-any.whl": wheel("pytest", "mine = 1")}
    )
    environment = await environments.prepare(repository, tree)
    assert environment.source == "wheels"
    code = f"import sys; sys.path.append({str(environment.tools)!r}); import pytest, coverage; print(pytest.mine)"
    assert await ask(sandbox, environment, code) == "1"
    code = f"import sys; sys.path[:0] = [{str(environment.tools)!r}]; import pytest; pytest.main(['--version'])"
    assert "pytest " in await ask(sandbox, environment, code)
    done = await sandbox.run(
        Job(
            argv=(str(environment.ruff), "--version"),
            cwd=environment.tools,
            mounts=environment.mounts,
            limits=Limits(wall_s=60),
        )
    )
    assert done.output.startswith(b"ruff ")


async def test_a_wheel_folder_serves_requirements_without_network(
    environments: VirtualEnvironments, sandbox: Sandbox, tmp_path: Path
) -> None:
    files = {
        "wheels/leaf-1.0-py3-none-any.whl": wheel("leaf", "value = 7"),
        "requirements.txt": "--no-index\n--find-links wheels\n-r more/extra.txt\n",
        "more/extra.txt": "leaf==1.0\n",
    }
    repository, tree = await committed(tmp_path / "r", files)
    environment = await environments.prepare(repository, tree)
    assert environment.source == "requirements"
    assert await ask(sandbox, environment, "import leaf; print(leaf.value)") == "7"
    _, changed = await committed(tmp_path / "r", {"more/extra.txt": "leaf>=1.0\n"})
    assert (await environments.prepare(repository, changed)).env_hash != environment.env_hash
    _, same = await committed(tmp_path / "r", {"more/extra.txt": "leaf==1.0\n", "code.py": "x = 1\n"})
    assert (await environments.prepare(repository, same)).env_hash == environment.env_hash


async def test_the_projects_code_comes_from_the_tree_and_its_metadata_from_the_environment(
    environments: VirtualEnvironments, sandbox: Sandbox, tmp_path: Path
) -> None:
    files = {"pyproject.toml": PROJECT.format(more="dependencies = []"), "src/the_project.py": "where = 'base'\n"}
    repository, tree = await committed(tmp_path / "r", files)
    environment = await environments.prepare(repository, tree)
    code = (
        "import the_project as p, importlib.metadata as m; print(p.where, p.__file__, m.version('the-project'),"
        " [e.value for e in m.entry_points(group='console_scripts', name='tell')])"
    )
    exported = tmp_path / "exported"
    (exported / "src").mkdir(parents=True)
    (exported / "src/the_project.py").write_text("where = 'candidate'\n")
    said = await ask(sandbox, environment, code, cwd=exported)
    assert said == f"candidate {exported}/src/the_project.py 2.5 ['the_project:main']"
    assert not list(environment.python.parent.parent.rglob("the_project.py"))


async def test_a_project_that_must_be_built_leaves_only_its_metadata(
    environments: VirtualEnvironments, sandbox: Sandbox, tmp_path: Path, indexed: None
) -> None:
    setup = (
        "from setuptools import setup\nsetup(name='old', version='3.1', packages=['old', 'old.sub'],"
        " install_requires=['six'])\n"
    )
    files = {"setup.py": setup, "old/__init__.py": "where = 'base'\n", "old/sub/__init__.py": ""}
    repository, tree = await committed(tmp_path / "r", files)
    environment = await environments.prepare(repository, tree)
    exported = tmp_path / "exported"
    await repository.export(tree, exported)
    code = "import six, old, importlib.metadata as m; print(old.__file__, m.version('old'))"
    assert await ask(sandbox, environment, code, cwd=exported) == f"{exported}/old/__init__.py 3.1"
    assert not list(environment.python.parent.parent.glob("lib/python*/site-packages/old"))


async def test_dependencies_come_from_the_index_once(
    environments: VirtualEnvironments, sandbox: Sandbox, tmp_path: Path, indexed: None
) -> None:
    more = (
        'dependencies = ["six==1.17.0"]\n[project.optional-dependencies]\ntest = ["parse"]\ndocs = ["no-such-thing-x"]'
    )
    repository, tree = await committed(tmp_path / "r", {"pyproject.toml": PROJECT.format(more=more)})
    lines: list[str] = []
    environment, other = await asyncio.gather(
        *(environments.prepare(repository, tree, say=lines.append) for _ in range(2))
    )
    assert environment == other and environment.source == "pyproject"
    assert sum("six==1.17.0" in line for line in lines) == 1
    assert await ask(sandbox, environment, "import six, parse; print(six.__version__)") == "1.17.0"
    best = 1e9
    for _ in range(3):
        began = time.perf_counter()
        assert await environments.prepare(repository, tree) == environment
        best = min(best, time.perf_counter() - began)
    assert best < 0.5  # about 10 ms on a quiet machine
    assert not os.access(environment.python.parent.parent / "work", os.F_OK)


async def test_a_uv_lock_is_followed(
    environments: VirtualEnvironments, sandbox: Sandbox, tmp_path: Path, indexed: None
) -> None:
    more = 'dependencies = ["six<1.17"]\n[dependency-groups]\ntest = ["parse"]'
    folder = tmp_path / "r"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        PROJECT.format(more=more.partition("[dep")[0]) + "\n[dependency-groups]\ntest = ['parse']\n"
    )
    subprocess.run([find_uv_bin(), "lock", "-q"], cwd=folder, check=True)
    repository, tree = await committed(folder, {})
    environment = await environments.prepare(repository, tree)
    assert environment.source == "lock"
    assert await ask(sandbox, environment, "import six, parse; print(six.__version__)") == "1.16.0"


async def test_the_specs_own_command_installs_with_pip(
    environments: VirtualEnvironments, sandbox: Sandbox, tmp_path: Path
) -> None:
    files = {"dist/leaf-1.0-py3-none-any.whl": wheel("leaf", "value = 7"), "requirements.txt": "not read\n"}
    repository, tree = await committed(tmp_path / "r", files)
    command = "pip install --no-index dist/*.whl"
    environment = await environments.prepare(repository, tree, install=command)
    assert environment.source == "install"
    assert await ask(sandbox, environment, "import leaf; print(leaf.value)") == "7"


async def test_another_process_s_environment_is_not_removed(
    environments: VirtualEnvironments, sandbox: Sandbox, tmp_path: Path
) -> None:
    repository, tree = await committed(tmp_path / "r", {"a": ""})
    folder = (await environments.prepare(repository, tree)).python.parent.parent.parent
    code = (
        "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_SH);"
        "print('held', flush=True); sys.stdin.read()"
    )
    held = [sys.executable, "-c", code, str(folder) + ".use"]
    with subprocess.Popen(held, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        await environments.clean(keep_days=0)
        assert folder.exists()
        process.kill()
    await environments.clean(keep_days=0)
    assert not folder.parent.exists()


@pytest.mark.parametrize("days", [1, pytest.param(-1, marks=pytest.mark.slow, id="set back")])
async def test_a_project_that_could_not_be_built_is_tried_again_later(
    environments: VirtualEnvironments, sandbox: Sandbox, clock: LaterClock, tmp_path: Path, days: int
) -> None:
    """A build that lacked the network, say, is not taken for good for ever."""
    clock.days = 0
    setup = "import pathlib, setuptools\nassert False, 'no network'\n"
    files = {"setup.py": setup, "requirements.txt": "--no-index\n"}
    repository, tree = await committed(tmp_path / "r", files)
    said: list[str] = []
    first = await environments.prepare(repository, tree, say=said.append)
    assert any("cannot be built" in line for line in said)
    (stored,) = [one for one in await environments.list() if one.repository == str(repository.root)]
    assert "cannot be built" in stored.incomplete and "no network" in stored.incomplete
    said.clear()
    await environments.prepare(repository, tree, say=said.append)
    clock.days = days
    await environments.prepare(repository, tree, say=said.append)
    assert not any(line.startswith("Building") or "+" in line for line in said)  # somebody still uses the first
    del first
    await environments.prepare(repository, tree, say=said.append)
    assert any("no network" in line for line in said)


@pytest.mark.parametrize("home", [None, "/nonexistent", "/proc/self"])
async def test_a_build_needs_no_home(
    sandbox: Sandbox, tmp_path: Path, shelf: Path, clock: LaterClock, home: str | None
) -> None:
    """Unset, missing, or one where nothing can be written."""
    files = {"wheels/leaf-1.0-py3-none-any.whl": wheel("leaf", "value = 7")}
    repository, tree = await committed(tmp_path / "r", files)
    host_env = {} if home is None else {"HOME": home}
    environments = VirtualEnvironments(
        folder=shelf, sandbox=sandbox, host_env=host_env, clock=clock, metrics=NoMetrics()
    )
    environment = await environments.prepare(repository, tree)
    assert await ask(sandbox, environment, "import leaf; print(leaf.value)") == "7"


async def test_a_failed_build_says_why_and_leaves_nothing(environments: VirtualEnvironments, tmp_path: Path) -> None:
    repository, tree = await committed(tmp_path / "r", {"a": ""})
    with pytest.raises(InputError, match="the reason") as refusal:
        await environments.prepare(repository, tree, install="echo the reason https://user:secret@host/; exit 3")
    assert "secret" not in refusal.value.message and "ended with 3" in refusal.value.message
    assert not [one for one in await environments.list() if one.repository == str(repository.root)]
    assert not [one for one in await environments.clean(keep_days=1) if one.repository in {"", str(repository.root)}]


async def test_a_build_sees_nothing_of_the_host(
    sandbox: Sandbox, tmp_path: Path, shelf: Path, clock: LaterClock
) -> None:
    (tmp_path / "secret").write_text("secret")
    repository, tree = await committed(tmp_path / "r", {"a": ""})
    environments = VirtualEnvironments(
        folder=shelf,
        sandbox=sandbox,
        host_env={"TOKEN": "hidden", "PIP_TIMEOUT": "5", "PIP_TARGET": "/x", "UV_CACHE_DIR": "/y", "HTTPS_PROXY": "p"},
        clock=clock,
        metrics=NoMetrics(),
    )
    lines: list[str] = []
    command = f"env; cat {tmp_path}/secret; touch {repository.root}/written; true"
    await environments.prepare(repository, tree, install=command, say=lines.append)
    text = "\n".join(lines)
    assert "PIP_TIMEOUT=5" in text and "HTTPS_PROXY=p" in text
    assert "hidden" not in text and "PIP_TARGET" not in text and "UV_CACHE_DIR=/y" not in text
    assert "secret\n" not in text + "\n" and not (repository.root / "written").exists()


@pytest.mark.parametrize(
    "text",
    ["[project", PROJECT.format(more="").replace(">=3.8", ">=3.99"), PROJECT.format(more="").replace(">=3.8", "x")],
)
async def test_a_recipe_that_cannot_be_used_is_an_input_error(
    environments: VirtualEnvironments, tmp_path: Path, text: str
) -> None:
    repository, tree = await committed(tmp_path / "r", {"pyproject.toml": text})
    with pytest.raises(InputError):
        await environments.prepare(repository, tree)


async def test_the_users_own_environment_is_used_as_it_is(
    environments: VirtualEnvironments, sandbox: Sandbox, tmp_path: Path
) -> None:
    repository, tree = await committed(tmp_path / "r", {"a": ""})
    subprocess.run([find_uv_bin(), "venv", "-q", str(repository.root / ".venv")], check=True)
    (site,) = (repository.root / ".venv/lib").glob("python*/site-packages")
    (site / "mine.py").write_text("value = 3\n")
    environment = await environments.prepare(repository, tree)
    assert environment.source == "venv"
    assert await ask(sandbox, environment, "import mine; print(mine.value)") == "3"
    assert not [one for one in await environments.list() if one.repository == str(repository.root)]


async def test_unused_environments_and_unfinished_builds_are_removed(
    environments: VirtualEnvironments, clock: LaterClock, tmp_path: Path
) -> None:
    repository, tree = await committed(tmp_path / "r", {"a": ""})
    old = await environments.prepare(repository, tree)
    clock.days = 5
    new = await environments.prepare(repository, tree, install="true")
    task = asyncio.create_task(
        environments.prepare(repository, tree, install="echo on; sleep 60", say=lambda line: ready.set())
    )
    ready = asyncio.Event()
    await ready.wait()
    stored = [one for one in await environments.list() if one.repository == str(repository.root)]
    assert [(one.env_hash, one.source) for one in stored] == [(new.env_hash, "install"), (old.env_hash, "none")]
    assert all(one.repository == str(repository.root) and one.size_bytes > 0 for one in stored)
    assert not [one for one in await environments.clean(keep_days=0) if one.repository == str(repository.root)]
    old_hash, unfinished = old.env_hash, new.python.parent.parent.parent
    del old, new  # from now on nobody uses them
    cleaned = await environments.clean(keep_days=3)
    assert [one.env_hash for one in cleaned if one.repository == str(repository.root)] == [old_hash]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (unfinished / "record.json").rename(unfinished / "draft.json")
    assert [one.source for one in await environments.clean(keep_days=3)] == ["install"]
    assert not unfinished.exists()
    again = await environments.prepare(repository, tree)
    assert again.env_hash == old_hash and again.python.exists()
