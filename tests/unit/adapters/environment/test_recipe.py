"""What a tree's files say, and the commands that follow."""

from __future__ import annotations

import sys

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from councilor.adapters.environment.blame import places_named
from councilor.adapters.environment.locks import constraints
from councilor.adapters.environment.poetry import group_requirements, project_table, specifier
from councilor.adapters.environment.project import parse_toml, read_project
from councilor.adapters.environment.reading import read_recipe
from councilor.adapters.environment.recipe import Recipe
from councilor.adapters.environment.testrunners import of_nox, of_tox
from councilor.adapters.environment.versions import newest_version, version_variables
from councilor.domain.change import TreeEntry
from councilor.errors import InputError

POETRY = b"""
[tool.poetry]
name = "shop"
version = "1.5"
packages = [{include = "shop", from = "source"}]
[tool.poetry.dependencies]
python = "^3.9"
six = "^1.16"
parse = {version = "~1.20", optional = true}
near = {path = "../near"}
far = {git = "https://host/far.git", tag = "v1"}
[tool.poetry.extras]
tests = ["parse"]
[tool.poetry.group.test.dependencies]
pytest = "*"
old = {version = "1", python = "<3"}
many = [{version = ">=1,<2", markers = "sys_platform == 'linux'"}, {version = "3", platform = "win32"}]
[tool.poetry.dev-dependencies]
wild = "1.* || 2.*"
"""


class Tree:
    """As much of a repository as a recipe asks for."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    async def entries(self, tree: str) -> list[TreeEntry]:
        return [TreeEntry(path=path, mode="100644", hash=f"{hash(text):x}") for path, text in self._files.items()]

    async def read(self, tree: str, path: str) -> bytes | None:
        return self._files.get(path)


async def recipe_of(files: dict[str, str]) -> Recipe:
    return await read_recipe(Tree({path: text.encode() for path, text in files.items()}), "tree")  # type: ignore[arg-type]  # all that it asks for


def commands(recipe: Recipe) -> list[str]:
    return [" ".join(part for part in step.command if part != "--compile-bytecode") for step in recipe.steps]


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ("^1.2.3", ">=1.2.3,<2"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("^0.0", ">=0.0,<0.1"),
        ("^1", ">=1,<2"),
        ("~1.2.3", ">=1.2.3,<1.3"),
        ("~1", ">=1,<2"),
        ("~=1.4", "~=1.4"),
        ("1.2.*", "==1.2.*"),
        ("=1.2", "==1.2"),
        (">=1 <2", ">=1,<2"),
        ("*", ""),
        ("1 || 2", None),
        ("nonsense", None),
    ],
)
def test_constraints_of_poetry_are_translated(constraint: str, expected: str | None) -> None:
    assert specifier(constraint) == expected
    assert expected is None or SpecifierSet(expected) is not None


def test_a_project_of_poetry_needs_no_build() -> None:
    table, notes = project_table(parse_toml("pyproject.toml", POETRY)["tool"]["poetry"])
    assert table["dependencies"] == ["six>=1.16,<2", "far @ git+https://host/far.git@v1"]
    assert table["optional-dependencies"] == {"tests": ["parse>=1.20,<1.21"]}
    assert table["requires-python"] == ">=3.9,<4" and [note.split()[0] for note in notes] == ["near"]
    groups = group_requirements(parse_toml("pyproject.toml", POETRY)["tool"], ("test", "dev"))
    assert [str(Requirement(line)) for line in groups.requirements] == [
        "pytest",
        'many<2,>=1; sys_platform == "linux"',
        'many==3; sys_platform == "win32"',
        "wild",
    ]
    project = read_project("", {"pyproject.toml": POETRY})
    assert project is not None and not project.built and "source" in project.sources


async def test_poetrys_lock_constrains_with_hashes() -> None:
    digest = "a" * 64
    lock = f"""
        [[package]]
        name = "six"
        version = "1.16.0"
        files = [{{file = "six.whl", hash = "sha256:{digest}"}}]
        [[package]]
        name = "twice"
        version = "1"
        [[package]]
        name = "twice"
        version = "2"
        [[package]]
        name = "far"
        version = "1"
        source = {{type = "git", url = "https://host/far.git"}}
        [[package]]
        name = "evil --index-url x"
        version = "1"
        """
    assert constraints("poetry.lock", lock.encode()) == (f"six==1.16.0 --hash=sha256:{digest}",)
    recipe = await recipe_of({"pyproject.toml": POETRY.decode(), "poetry.lock": lock})
    assert recipe.source == "lock"
    assert commands(recipe) == ["uv pip install -c ../made/locked.txt -r ../made/declared.txt"]
    assert "parse>=1.20,<1.21\n" in recipe.made["declared.txt"] and digest in recipe.made["locked.txt"]
    with pytest.raises(InputError, match=r"poetry\.lock"):
        constraints("poetry.lock", b"[[")


def test_tox_is_read_as_far_as_it_can_be() -> None:
    own = f"py{sys.version_info[0]}{sys.version_info[1]}"
    text = f"""
[base]
deps = six
[testenv]
deps =
    {{[base]deps}}
    -r{{toxinidir}}/needs/tests.txt
    pytest>=7  # the runner
    {own}: parse
    py27: old
    -e .[fast]
    {{env:WHAT}}
    git+https://host/far.git
extras =
    more
"""
    found = of_tox({"tox.ini": text.encode()})
    assert found.requirements == ("six", "pytest>=7", "parse")
    assert found.files == ("needs/tests.txt",)
    assert found.extras == ("more", "fast")
    assert [note.split("`")[1] for note in found.notes] == ["{env:WHAT}", "git+https://host/far.git"]
    modern = b"[env_run_base]\ndeps = ['six']\nextras = ['test']\n"
    assert of_tox({"tox.toml": modern}).requirements == ("six",)
    assert not of_tox({"pyproject.toml": b"[tool.other]\n"})


def test_nox_is_read_as_far_as_it_can_be() -> None:
    source = b"""
import nox
NEEDS = ["six", "parse"]

@nox.session(python=["3.9", "3.11"])
def tests(session):
    session.install("-r", "needs/tests.txt")
    session.install(*NEEDS)
    session.install("-e", ".[fast]", f"pytest=={session.python}")

@nox.session
def docs(session):
    session.install("sphinx")
"""
    found = of_nox(source)
    assert (found.requirements, found.files, found.extras) == (("six", "parse"), ("needs/tests.txt",), ("fast",))
    assert [note.split(":")[1] for note in found.notes] == ["9"]
    assert of_nox(b"def (").notes


async def test_tox_is_asked_only_when_nothing_else_says_what_tests_need() -> None:
    tox = "[testenv]\ndeps = six\n"
    project = "[project]\nname = 'p'\nversion = '1'\n"
    recipe = await recipe_of({"tox.ini": tox, "pyproject.toml": project})
    assert recipe.made == {"declared.txt": "six\n"} and "tox.ini" in recipe.files
    recipe = await recipe_of({"tox.ini": tox, "pyproject.toml": project + "optional-dependencies.test = ['parse']\n"})
    assert commands(recipe) == ["uv pip install -r pyproject.toml --extra test"] and "tox.ini" not in recipe.files


async def test_a_version_from_git_does_not_make_dependencies_need_a_build() -> None:
    text = "[project]\nname = 'p'\ndynamic = ['version']\noptional-dependencies.tests = ['six']\n"
    recipe = await recipe_of({"pyproject.toml": text + "[build-system]\nrequires = ['hatch-vcs']\n"})
    assert commands(recipe) == ["uv pip install -r pyproject.toml --extra tests", "uv pip install --no-deps ./"]
    assert recipe.steps[1].optional
    variables = version_variables(recipe.projects, "2.0")
    assert variables["SETUPTOOLS_SCM_PRETEND_VERSION"] == "2.0"  # hatch-vcs asks without the project's name
    named = await recipe_of({"pyproject.toml": text + "[build-system]\nrequires = ['setuptools-scm']\n"})
    assert "SETUPTOOLS_SCM_PRETEND_VERSION" not in version_variables(named.projects, "2.0")
    assert version_variables(named.projects, "2.0")["SETUPTOOLS_SCM_PRETEND_VERSION_FOR_P"] == "2.0"


@pytest.mark.parametrize(
    ("tags", "version"),
    [
        (["v1.9", "v1.10", "v2.0rc1", "docs"], "1.10"),
        (["pkg-1.2.3", "release/1.3"], "1.3"),
        (["2.0a1"], "2.0a1"),
        (["latest"], "0.1.dev0"),
        ([], "0.1.dev0"),
    ],
)
def test_the_newest_release_among_tags(tags: list[str], version: str) -> None:
    assert newest_version(tags) == version


async def test_projects_of_one_tree_find_each_other_in_the_tree() -> None:
    files = {
        "a/pyproject.toml": "[project]\nname = 'aa'\nversion = '1'\ndependencies = ['six']\n",
        "b/pyproject.toml": "[project]\nname = 'bb'\nversion = '1'\ndependencies = ['aa', 'parse']\n",
        "c/setup.py": "from setuptools import setup\nsetup(name='cc', package_dir={'': 'python'})\n",
        "c/python/cc.py": "",
        "examples/x/pyproject.toml": "[project]\nname = 'no'\nversion = '1'\ndependencies = ['no-such']\n",
        "b/bb/setup.py": "",
        "b/bb/__init__.py": "",
    }
    recipe = await recipe_of(files)
    assert [project.folder for project in recipe.projects] == ["a", "b", "c"]
    assert recipe.made == {"declared.txt": "parse\n"}
    assert (
        commands(recipe)[0] == "uv pip install -r ../made/declared.txt -r a/pyproject.toml ./c[dev,test,tests,testing]"
    )
    assert {"a/src", "a", "b", "c/python"} <= set(recipe.sources)


@pytest.mark.parametrize(
    "path",
    [
        "requirements.txt", "requirements-dev.txt", "requirements_test.txt", "dev-requirements.txt",
        "requirements/ci.txt", "requirements/base.txt", "tests/requirements.txt", "requirements/requirements-dev.txt",
    ],
)  # fmt: skip
async def test_requirements_are_found_by_their_names(path: str) -> None:
    recipe = await recipe_of(
        {path: "-r ../more.txt\n" if "/" in path and "requirements/r" not in path else "", "more.txt": "six\n"}
    )
    assert recipe.source == "requirements" and path in commands(recipe)[0]


async def test_files_that_only_configure_tools_declare_nothing() -> None:
    recipe = await recipe_of({"setup.cfg": "[flake8]\n", "pyproject.toml": "[build-system]\nrequires = []\n[tool.x]\n"})
    assert (recipe.source, recipe.steps, recipe.projects) == ("none", (), ())


async def test_what_is_not_read_is_said() -> None:
    assert (await recipe_of({"Pipfile": ""})).notes == ("Pipfile is not read.",)


def test_an_error_is_traced_to_the_line_that_asks_for_it() -> None:
    output = (
        "cause: Because no-such-thing was not found in the package registry and you require no-such-thing>=1, we can"
    )
    files = {"requirements.txt": b"six\n", "requirements-dev.txt": b"# no-such-thing\nparse\nNo_Such.Thing>=1\n"}
    assert places_named(output, files) == ("requirements-dev.txt:3: No_Such.Thing>=1",)
    assert places_named("all is well", files) == ()
