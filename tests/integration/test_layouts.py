"""Repositories as they are: every layout's environment, baseline and per-test evidence, offline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from layouts import CODE, SETUPTOOLS, STATIC, TESTS, Yard, lay_out

from councilor.adapters.sandbox.choose import choose_sandbox
from councilor.adapters.system import SystemClock
from councilor.domain.evidence import TestRun
from councilor.errors import InputError, SandboxError
from councilor.ports.metrics import NoMetrics

Missing = Callable[[str], None]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("environments")


@pytest.fixture
async def yard(tmp_path: Path, shelf: Path, service_missing: Missing) -> AsyncIterator[Yard]:
    try:
        sandbox = await choose_sandbox(scratch=tmp_path / "scratch", metrics=NoMetrics(), clock=SystemClock())
    except SandboxError as error:
        service_missing(error.message)
    yield Yard(folder=shelf, sandbox=sandbox, clock=SystemClock())


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
            "pytest.ini": "[pytest]\naddopts = --strict-markers -n 2 --cov=shop --cov-report xml -x\nmarkers =\n  fast: quick\n",
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
