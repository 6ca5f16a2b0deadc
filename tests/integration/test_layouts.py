"""Repositories as they are: every layout's environment, baseline and per-test evidence, offline."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from journey import Act, git, make_spec, open_journey
from layouts import CODE, RIGHT, SETUPTOOLS, STATIC, TESTS, Yard, lay_out
from uv import find_uv_bin

from councilor.adapters.system import SystemClock
from councilor.domain.evidence import TestRun
from councilor.domain.verdict import Decision
from councilor.domain.worker import Assignment
from councilor.errors import InputError
from councilor.ports.sandbox import Sandbox

Missing = Callable[[str], None]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("environments")


@pytest.fixture
async def yard(shelf: Path, sandbox: Sandbox) -> AsyncIterator[Yard]:
    yield Yard(folder=shelf, sandbox=sandbox, clock=SystemClock())


@pytest.fixture
def indexed(service_missing: Missing, tmp_path: Path) -> None:
    """Skip where no package index answers."""
    command = [find_uv_bin(), "pip", "install", "--dry-run", "--no-deps", "--target", str(tmp_path / "t"), "six"]
    if subprocess.run(command, capture_output=True, timeout=60, check=False).returncode:
        service_missing("no package index answers")


def outcomes(run: TestRun) -> dict[str, str]:
    assert run.breaches == (), run.log.decode()
    assert run.collection_errors == (), run.log.decode()
    return {record.nodeid: record.outcome.value for record in run.records}


def shop(prefix: str = "tests/test_shop.py::") -> dict[str, str]:
    """What the suite of the shop gives."""
    return {f"{prefix}test_count": "passed", f"{prefix}test_total": "failed"}


UNITTEST = """
    import unittest

    from shop import count, total


    class ShopTest(unittest.TestCase):
        def test_count(self):
            self.assertEqual(count([1, 2]), 2)

        def test_total(self):
            self.assertEqual(total([1, 2]), 3)
    """
IMPORTLIB = "[tool.pytest.ini_options]\naddopts = '--import-mode=importlib'\n"
CONFTESTS = {
    "shop.py": CODE,
    "tests/conftest.py": "import pytest\n\n\n@pytest.fixture\ndef prices():\n    return [1]\n",
    "tests/deep/conftest.py": "import pytest\n\n\n@pytest.fixture\ndef prices(prices):\n    return [*prices, 2]\n",
    "tests/deep/test_shop.py": """
        from shop import count, total


        def test_count(prices):
            assert count(prices) == 2


        def test_total(prices):
            assert total(prices) == 3
        """,
}
DATA = TESTS.replace("[1, 2]) == 3", 'json.load(open("data/prices.json"))) == 3').replace(
    "    from shop", "    import json\n\n    from shop", 1
)
CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "flat": ({"shop.py": CODE, "tests/test_shop.py": TESTS}, shop()),
    "src": ({"src/shop/__init__.py": CODE, "tests/test_shop.py": TESTS}, shop()),
    "lib with a static project": (
        {
            "pyproject.toml": STATIC + SETUPTOOLS + '[tool.setuptools]\npackage-dir = {"" = "source"}\n',
            "source/shop/__init__.py": CODE,
            "tests/test_shop.py": TESTS,
        },
        shop(),
    ),
    "namespace package": (
        {
            "pyproject.toml": STATIC,
            "src/acme/shop/__init__.py": CODE,
            "src/acme/other/thing.py": "value = 2\n",
            "tests/test_shop.py": TESTS.replace("from shop", "import acme.other.thing\nfrom acme.shop")
            .replace("== 2", "== acme.other.thing.value")
            .replace("\nfrom acme", "\n    from acme"),
        },
        shop(),
    ),
    "tests inside the package": (
        {"shop/__init__.py": CODE, "shop/tests/__init__.py": "", "shop/tests/test_shop.py": TESTS},
        shop("shop/tests/test_shop.py::"),
    ),
    "no __init__, the same name twice, importlib": (
        {
            "pyproject.toml": IMPORTLIB,
            "shop.py": CODE,
            "tests/a/test_shop.py": TESTS,
            "tests/b/test_shop.py": TESTS,
        },
        shop("tests/a/test_shop.py::") | shop("tests/b/test_shop.py::"),
    ),
    "conftest files at several levels": (CONFTESTS, shop("tests/deep/test_shop.py::")),
    "data outside of packages": (
        {"shop.py": CODE, "data/prices.json": "[1, 2]", "tests/test_shop.py": DATA},
        shop(),
    ),
    "strict markers and options of plugins that are not there": (
        {
            "pytest.ini": "[pytest]\naddopts = --strict-markers -n 2 --cov=shop -x\nmarkers =\n  fast: quick\n",
            "shop.py": CODE,
            "tests/test_shop.py": TESTS.replace(
                "    def test_count", "    @pytest.mark.fast\n    def test_count"
            ).replace("    from shop", "    import pytest\n    from shop"),
        },
        shop(),
    ),
    "unittest only": (
        {"shop.py": CODE, "tests/__init__.py": "", "tests/test_shop.py": UNITTEST},
        shop("tests/test_shop.py::ShopTest::"),
    ),
    "unittest only, names that pytest does not know": (
        {
            "shop.py": CODE,
            "tests/__init__.py": "",
            "tests/testshop.py": UNITTEST,
            "app/__init__.py": "",
            "app/tests.py": UNITTEST,
        },
        shop("tests/testshop.py::ShopTest::") | shop("app/tests.py::ShopTest::"),
    ),
    "doctests": (
        {
            "pytest.ini": "[pytest]\naddopts = --doctest-modules --doctest-glob=*.rst\n",
            "shop.py": CODE.replace(
                "def total(prices):\n", 'def total(prices):\n    """\n    >>> total([1, 2])\n    3\n    """\n'
            ).replace("def count(prices):\n", 'def count(prices):\n    """\n    >>> count([1])\n    1\n    """\n'),
            "README.rst": "Use it::\n\n    >>> import shop\n    >>> shop.count([])\n    0\n",
        },
        {"shop.py::shop.count": "passed", "shop.py::shop.total": "failed", "README.rst::README.rst": "passed"},
    ),
    "setup.cfg only for tools": (
        {"setup.cfg": "[flake8]\nmax-line-length = 100\n", "shop.py": CODE, "tests/test_shop.py": TESTS},
        shop(),
    ),
    "several projects without a common configuration": (
        {
            "packages/shop/pyproject.toml": STATIC + "[tool.pytest.ini_options]\npython_functions = 'check_*'\n",
            "packages/shop/src/shop.py": CODE,
            "packages/shop/tests/__init__.py": "",
            "packages/shop/tests/test_shop.py": TESTS.replace("def test_", "def check_"),
            "packages/till/pyproject.toml": STATIC.replace("shop", "till") + 'dependencies = ["shop"]\n',
            "packages/till/till.py": "from shop import count\n",
            "packages/till/data.txt": "2",
            "packages/till/tests/__init__.py": "",
            "packages/till/tests/test_till.py": """
                import importlib.metadata

                from till import count


                def test_count(pytestconfig):
                    assert count([1, 2]) == int(open("data.txt").read())
                    assert pytestconfig.rootpath.name == "till"
                    assert importlib.metadata.version("shop") == "1.5"
                """,
            "tools/test_tools.py": "def test_tools():\n    pass\n",
        },
        {
            "packages/shop/tests/test_shop.py::check_count": "passed",
            "packages/shop/tests/test_shop.py::check_total": "failed",
            "packages/till/tests/test_till.py::test_count": "passed",
            "tools/test_tools.py::test_tools": "passed",
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_layout_gives_evidence_for_each_test(yard: Yard, tmp_path: Path, name: str) -> None:
    files, expected = CASES[name]
    repository = lay_out(tmp_path / "r", files)
    environment = await yard.prepare(repository)
    run = await yard.run(repository, environment, tmp_path / "export")
    assert outcomes(run) == expected
    assert run.exit_code == 1
    measured = {path for lines in run.coverage.values() for path in lines}
    assert measured & {path for path, content in files.items() if content == CODE} or "doctests" in name


async def test_no_tests_at_all_is_said_and_voids_nothing(yard: Yard, tmp_path: Path) -> None:
    repository = lay_out(tmp_path / "r", {"shop.py": CODE})
    run = await yard.run(repository, await yard.prepare(repository), tmp_path / "export")
    assert (outcomes(run), run.exit_code) == ({}, 0)
    assert b"no tests" in run.log


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("pyproject.toml", STATIC + 'requires-python = ">=3.99"\n'),
        (
            "pyproject.toml",
            '[tool.poetry]\nname = "shop"\nversion = "1"\n[tool.poetry.dependencies]\npython = "^3.99"\n',
        ),
        ("setup.cfg", "[metadata]\nname = shop\n[options]\npython_requires = >=3.99\n"),
    ],
)
async def test_a_newer_python_is_asked_for_before_anything_is_built(
    yard: Yard, tmp_path: Path, path: str, text: str
) -> None:
    repository = lay_out(tmp_path / "r", {path: text, "shop.py": CODE})
    with pytest.raises(InputError, match=r"requires Python >=3\.99") as refusal:
        await yard.prepare(repository)
    assert "Install councilor with a Python" in refusal.value.hint()


async def test_a_build_that_fails_names_the_requirement_and_its_file(yard: Yard, tmp_path: Path) -> None:
    files = {"requirements.txt": "--no-index\n", "requirements-dev.txt": "# ours\nno-such-thing>=2\n", "shop.py": CODE}
    repository = lay_out(tmp_path / "r", files)
    with pytest.raises(InputError, match=r"requirements-dev\.txt:2: no-such-thing>=2"):
        await yard.prepare(repository)
    assert not [one for one in await yard.environments.list() if one.repository == str(repository)]


@pytest.mark.slow
async def test_modern_tools_give_evidence_and_what_the_build_makes_is_there(
    yard: Yard, tmp_path: Path, indexed: None
) -> None:
    """A version from git tags, a generated file, extras and a group, plugins, their options and strict markers."""
    project = """
        [build-system]
        requires = ["setuptools", "setuptools-scm"]
        build-backend = "setuptools.build_meta"
        [project]
        name = "shop"
        dynamic = ["version"]
        optional-dependencies.test = ["pytest", "pytest-asyncio", "pytest-xdist"]
        [dependency-groups]
        base = ["hypothesis"]
        dev = [{include-group = "base"}, "pytest-cov"]
        [tool.setuptools_scm]
        version_file = "src/shop/_version.py"
        [tool.pytest.ini_options]
        addopts = "--strict-markers --strict-config -n 2 --cov=shop -x"
        asyncio_mode = "auto"
        markers = ["fast: quick"]
        """
    tests = """
        import importlib.metadata

        import pytest
        from hypothesis import given, strategies
        from shop import count, total, version


        @pytest.mark.fast
        async def test_count():
            assert count([1, 2]) == 2


        @given(strategies.lists(strategies.integers()))
        def test_counts(numbers):
            assert count(numbers) == len(numbers)


        def test_version():
            assert version == importlib.metadata.version("shop") == "3.4"


        def test_total():
            assert total([1, 2]) == 3
        """
    files = {
        "pyproject.toml": project,
        ".gitignore": "_version.py\n",
        "src/shop/__init__.py": "from ._version import version\n\n\n" + CODE,
        "tests/test_shop.py": tests,
    }
    repository = lay_out(tmp_path / "r", files, tag="v3.4")
    run = await yard.run(repository, await yard.prepare(repository), tmp_path / "export")
    passing = ("test_count", "test_counts", "test_version")
    assert outcomes(run) == {f"tests/test_shop.py::{name}": "passed" for name in passing} | {
        "tests/test_shop.py::test_total": "failed"
    }


@pytest.mark.slow
async def test_compiled_modules_are_kept_and_tied_to_their_sources(yard: Yard, tmp_path: Path, indexed: None) -> None:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    source = """
        #include <Python.h>
        static PyObject *answer(PyObject *self, PyObject *args) { return PyLong_FromLong(3); }
        static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
        static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "fast", "", -1, methods};
        PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&module); }
        """
    setup = (
        "from setuptools import Extension, setup\n\nsetup(name='shop', version='1', packages=['shop'],"
        " ext_modules=[Extension('shop.fast', ['shop/fast.c'])])\n"
    )
    files = {
        "setup.py": setup,
        "shop/__init__.py": CODE,
        "shop/fast.c": source,
        "tests/test_shop.py": TESTS.replace("[1, 2]) == 3", "[1, 2]) == fast.answer()").replace(
            "    from shop import", "    from shop import fast,"
        ),
    }
    repository = lay_out(tmp_path / "r", files)
    environment = await yard.prepare(repository)
    assert environment.compiled_from == ("shop/fast.c",)
    assert outcomes(await yard.run(repository, environment, tmp_path / "export")) == shop()
    (repository / "shop/fast.c").write_text(source.replace("(3)", "(4)"))
    git(repository, "commit", "-q", "-a", "-m", "Another answer")
    other = await yard.prepare(repository)
    assert other.env_hash != environment.env_hash  # compiled anew, never taken from other sources
    run = await yard.run(repository, other, tmp_path / "export-2")
    assert outcomes(run)["tests/test_shop.py::test_total"] == "passed"


@pytest.mark.slow
async def test_old_tools_give_evidence(yard: Yard, tmp_path: Path, indexed: None) -> None:
    """setup.cfg alone, tests' needs in tox.ini only, a helper beside the tests, data in a submodule of requirements."""
    files = {
        "setup.cfg": "[metadata]\nname = shop\nversion = 1.5\n[options]\npy_modules = shop\ninstall_requires = six\n",
        "tox.ini": "[testenv]\ndeps =\n    -r{toxinidir}/needs/tests.txt\n    py27: no-such-thing\ncommands = pytest\n",
        "needs/tests.txt": "parse\n",
        "shop.py": "import six\n\n\n" + CODE,
        "tests/test_shop.py": TESTS.replace("    from shop", "    import parse\n    from shop", 1),
    }
    repository = lay_out(tmp_path / "r", files)
    said: list[str] = []
    environment = await yard.prepare(repository, said)
    assert environment.source == "requirements", said
    assert outcomes(await yard.run(repository, environment, tmp_path / "export")) == shop()


@pytest.mark.slow
async def test_poetry_s_lock_is_followed_and_its_hashes_are_checked(yard: Yard, tmp_path: Path, indexed: None) -> None:
    right = "8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254"
    lock = '[[package]]\nname = "six"\nversion = "1.16.0"\nfiles = [{file = "six.whl", hash = "sha256:%s"}]\n'
    files = {
        "pyproject.toml": """
            [tool.poetry]
            name = "shop"
            version = "1.5"
            [tool.poetry.dependencies]
            python = "^3.9"
            six = "^1.10"
            [tool.poetry.group.dev.dependencies]
            parse = "*"
            """,
        "poetry.lock": lock % right,
        "shop.py": CODE,
        "tests/test_shop.py": TESTS.replace("    from shop", "    import parse, six\n    from shop", 1).replace(
            "count([1, 2]) == 2", 'six.__version__ == "1.16.0"'
        ),
    }
    repository = lay_out(tmp_path / "r", files)
    environment = await yard.prepare(repository)
    assert environment.source == "lock"
    assert outcomes(await yard.run(repository, environment, tmp_path / "export")) == shop()
    wrong = lay_out(tmp_path / "w", files | {"poetry.lock": lock % ("0" * 64)})
    with pytest.raises(InputError, match="Hash mismatch"):
        await yard.prepare(wrong)


async def test_a_whole_task_in_one_of_several_projects(tmp_path: Path) -> None:
    """The repair is judged by the tests of every project; a change that breaks a project beside it is not accepted."""
    files, _ = CASES["several projects without a common configuration"]
    code = "packages/shop/src/shop.py"
    spec = make_spec(
        scope={"in": ["packages/shop"], "out": []},
        blast_radius={"modules": ["packages/shop"], "data_migration": False},
        acceptance=[
            {
                "id": "A1", "given": "prices", "when": "summed", "then": "total is their sum",
                "test_nodeids": ["packages/shop/tests/test_shop.py::check_total"],
            }
        ],
    )  # fmt: skip

    def act(text: str) -> Act:
        def write(folder: Path, assignment: Assignment) -> None:
            (folder / code).write_text(text)

        return write

    decisions = []
    for name, text in (("right", RIGHT), ("wrong", RIGHT.replace("def count(", "def counted("))):
        repository = lay_out(tmp_path / name / "r", files)
        async with open_journey(tmp_path / name, act(text)) as journey:
            trip = await journey.travel(await journey.task(repository, spec_text=spec))
        decisions.append(trip.outcome.decision)
    assert decisions[0] is Decision.ACCEPT
    assert decisions[1] is not Decision.ACCEPT
