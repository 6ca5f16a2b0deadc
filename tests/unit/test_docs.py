"""The documentation is true: links, commands, settings, specs, and every page that mirrors code."""

from __future__ import annotations

import ast
import dataclasses
import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer
import yaml

from councilor.domain.event import EventType
from councilor.domain.intervention import TELLING, Approval, Extension
from councilor.domain.policy import load_policy
from councilor.domain.preset import PRESETS, READ_ON
from councilor.domain.spec import load_spec
from councilor.ports.worker import Progress
from councilor.settings import load_settings
from councilor.surfaces.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "councilor"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
UsageError = typer.BadParameter.__mro__[1]  # typer carries a click of its own and exports only this of its errors
BROUGHT_ALONG = {"sqlalchemy": "dbos", "requests": "opentelemetry-exporter-otlp-proto-http"}
"""Imported packages that another declared one requires, because both sides must agree on its version."""

ids = {"ids": lambda path: str(path.relative_to(ROOT)) if isinstance(path, Path) else None}


def fences(page: Path) -> list[tuple[str, str]]:
    """Language and text of each fenced block, also where a list indents it."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^\1```$", page.read_text(encoding="utf-8"), re.M | re.S)
    return [(kind, re.sub(rf"^{indent}", "", body, flags=re.M)) for indent, kind, body in found]


def prose(page: Path) -> str:
    return re.sub(r"^( *)```.*?^\1```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, **ids)
def test_every_link_within_the_repository_leads_somewhere(page: Path):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def command_lines() -> Iterator[tuple[Path, str]]:
    """Each `councilor ...` of the shell blocks."""
    for page in PAGES:
        for kind, body in fences(page):
            if kind in {"sh", "bash", "console"}:
                for line in body.replace("\\\n", " ").splitlines():
                    if "councilor" in shlex.split(line, comments=True):
                        yield page, line


def parse(words: list[str]) -> None:
    """Parse arguments with the real commands, and run nothing."""
    command = typer.main.get_command(app)
    context = command.make_context("councilor", list(words))
    while hasattr(command, "resolve_command"):
        rest = [*getattr(context, "_protected_args", []), *context.args]
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)


def words_of(line: str) -> list[str]:
    """What follows `councilor` up to the end of that command."""
    words = shlex.split(line, comments=True)
    words = words[words.index("councilor") + 1 :]
    ends = [index for index, word in enumerate(words) if word in {"|", "||", "&&", ";", ">", "2>"}]
    return words[: ends[0]] if ends else words


def test_there_are_commands_to_check():
    assert len(list(command_lines())) > 25


@pytest.mark.parametrize(("page", "line"), list(command_lines()), **ids)
def test_every_command_shown_can_be_typed(page: Path, line: str):
    try:
        parse(words_of(line))
    except typer.Exit:
        pass  # an option such as --version has done its work
    except UsageError as error:
        pytest.fail(f"{line}: {error.format_message()}")


@pytest.mark.parametrize("line", ["councilor fly", "councilor run --wings x", "councilor spec", "councilor run a b"])
def test_a_command_that_is_not_there_would_be_noticed(line: str):
    with pytest.raises(UsageError):
        parse(words_of(line))


def inline_commands() -> list[tuple[Path, str]]:
    return [(page, text) for page in PAGES for text in re.findall(r"`councilor ([a-z][^`]*)`", prose(page))]


@pytest.mark.parametrize(("page", "text"), inline_commands(), **ids)
def test_every_command_named_in_a_sentence_exists(page: Path, text: str):
    command = typer.main.get_command(app)
    for word in text.split():
        inner = getattr(command, "commands", {})
        options = {name for parameter in command.params for name in parameter.opts}
        if word.startswith("-"):
            assert word in options, text
        elif inner:
            assert set(word.split("|")) <= set(inner), text
            command = inner[word.split("|")[0]]


def test_every_target_of_make_that_is_named_exists():
    targets = set(re.findall(r"^([a-z%-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for page in PAGES:
        typed = "".join(body for kind, body in fences(page) if kind == "sh")
        named = re.findall(r"^make ([a-z-]+)", typed, re.M) + re.findall(r"`make ([a-z-]+)", prose(page))
        for name in named:
            assert name in targets or ("bench-%" in targets and name.startswith("bench-")), (page, name)


def test_the_readme_fits_and_begins_with_the_two_commands():
    readme = ROOT / "README.md"
    assert len(readme.read_text(encoding="utf-8").splitlines()) <= 100
    first = next(body for kind, body in fences(readme) if kind == "sh")
    assert [shlex.join(shlex.split(line, comments=True)) for line in first.splitlines()] == ["make demo", "make test"]


def yaml_blocks() -> list[tuple[Path, str]]:
    return [(page, body) for page in PAGES for kind, body in fences(page) if kind == "yaml"]


@pytest.mark.parametrize(("page", "text"), yaml_blocks(), **ids)
def test_every_yaml_block_is_what_councilor_reads(
    page: Path, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in [name for name in os.environ if name.startswith("V3_")]:
        monkeypatch.delenv(name)
    keys = set(yaml.safe_load(text))
    if "risk_tier" in keys:
        load_spec(text, source=str(page))
    elif "acceptance" in keys:
        load_spec(_with_acceptance(text), source=str(page))
    elif "risk_tiers" in keys:
        load_policy(text, source=str(page))
    elif "approvers" in keys:
        pass  # waivers are read in tests/unit/test_policy.py
    else:
        file = tmp_path / "mine.yaml"
        file.write_text(text, encoding="utf-8")
        load_settings(config=file)


def _with_acceptance(text: str) -> str:
    spec = yaml.safe_load((ROOT / "examples/pricing/.caws/specs/PRICE-1.yaml").read_text(encoding="utf-8"))
    return yaml.safe_dump(spec | yaml.safe_load(text), sort_keys=False)


def test_the_readmes_settings_give_the_worker_that_it_speaks_of(tmp_path: Path):
    text = next(body for kind, body in fences(ROOT / "README.md") if kind == "yaml")
    file = tmp_path / "agents.yaml"
    file.write_text(text, encoding="utf-8")
    assert load_settings(config=file).profile("claude").credentials == ("ANTHROPIC_API_KEY",)


@pytest.mark.parametrize("name", ["cli.md", "configuration.md", "metrics.md", "slo.md"])
def test_a_generated_page_is_what_the_code_generates(name: str, monkeypatch: pytest.MonkeyPatch):
    for variable in [variable for variable in os.environ if variable.startswith("V3_")]:
        monkeypatch.delenv(variable)
    pages = runpy.run_path(str(ROOT / "docs" / "generate.py"))["PAGES"]
    text = (ROOT / "docs/reference" / name).read_text(encoding="utf-8")
    assert text == pages[name](), "run `python docs/generate.py`"


def test_the_page_of_commands_depends_on_no_terminal():
    script = "import runpy, sys; sys.stdout.write(runpy.run_path(sys.argv[1])['PAGES']['cli.md']())"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("V3_")}
    page = subprocess.run(
        [sys.executable, "-c", script, str(ROOT / "docs/generate.py")],
        env=environment | {"COLUMNS": "40", "TERM": "xterm-256color", "FORCE_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert page == (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")


def documented_events() -> dict[str, set[str]]:
    text = (ROOT / "docs/reference/events.md").read_text(encoding="utf-8")
    sections = re.split(r"^## `([a-z.]+)`$", text, flags=re.M)[1:]
    return {
        name: set(re.findall(r"^- `(\w+)`:", body, re.M))
        for name, body in zip(sections[::2], sections[1::2], strict=True)
    }


def told_events() -> dict[str, set[str]]:
    """Event type -> every key of its data, from the calls that tell it."""
    told: dict[str, set[str]] = defaultdict(set)
    of_phases: set[str] = set()
    for path in (SOURCE / "pipeline" / "executor").glob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            keys = {keyword.arg for keyword in call.keywords if keyword.arg}
            first = call.args[0] if call.args else None
            if call.func.attr == "phase":
                of_phases |= keys - {"brief"}  # how it is told, not what
            elif call.func.attr in {"say", "note", "hurry"} and isinstance(first, ast.Attribute):
                told[EventType[first.attr].value] |= keys
    for type_ in (EventType.PHASE_STARTED, EventType.PHASE_FINISHED):
        told[type_.value] |= of_phases
    told[EventType.TASK_SUBMITTED.value] = {"task", "schedule", "due_at"}
    told[EventType.WORKER_HEARTBEAT.value] = {field.name for field in dataclasses.fields(Progress)}
    for type_ in TELLING:
        told[type_.value].add("spent_s")
    told.setdefault(EventType.TASK_CANCELLED.value, set())
    told[EventType.APPROVAL_GIVEN.value] = {field.name for field in dataclasses.fields(Approval)}
    told[EventType.INTERVENTION.value] = {"kind", "reason"} | {field.name for field in dataclasses.fields(Extension)}
    people = (SOURCE / "pipeline" / "interventions.py").read_text(encoding="utf-8")
    for call in ast.walk(ast.parse(people)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "_tell":
            told[EventType.INTERVENTION.value] |= {keyword.arg for keyword in call.keywords if keyword.arg}
    return told


def test_every_event_is_documented_with_the_keys_of_its_data():
    assert set(documented_events()) == {str(type_) for type_ in EventType}
    assert documented_events() == told_events()


def declared(requirements: list[str]) -> list[str]:
    return [re.split(r"[\[<>=~! ;]", requirement)[0] for requirement in requirements]


def test_every_direct_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "docs/adr/dependencies.md").read_text(encoding="utf-8")
    runtime, rest = text.split("## Extras")
    optional, development = rest.split("## To develop")
    extras = dict(project["optional-dependencies"])
    to_develop = [name for name in declared(extras.pop("dev")) if name != "councilor"]
    rows = r"^\| `([\w.-]+)` \| \S.{15,} \|$"
    assert sorted(re.findall(rows, runtime, re.M)) == sorted(declared(project["dependencies"]))
    assert sorted(re.findall(rows, optional, re.M)) == sorted(
        declared([item for extra in extras.values() for item in extra])
    )
    assert sorted(re.findall(rows, development, re.M)) == sorted(to_develop)


def test_every_package_that_the_source_imports_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = [item for extra, items in project["optional-dependencies"].items() if extra != "dev" for item in items]
    names = {name.lower().replace("-", "_") for name in declared([*project["dependencies"], *optional])}
    names |= {"opentelemetry"}  # the namespace of its api, sdk and exporters
    names |= {"councilor", "yaml", "_pytest", "psycopg_pool", *BROUGHT_ALONG}
    names |= {"backports", "compression"}  # one module under its two names
    names |= {"griffe", "acp"}  # the modules of griffelib and agent-client-protocol
    foreign = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.append(node.module)
            tops = {module.split(".")[0] for module in modules} - sys.stdlib_module_names
            # A program inside a sandbox finds the files beside it without their package, and those of the test runner.
            folders = (
                path.parent,
                path.parent.parent / "sandboxed",
                path.parent.parent.parent / "pytest" / "sandboxed",
            )
            foreign |= {top for top in tops if not any((folder / f"{top}.py").exists() for folder in folders)}
    assert foreign - names == set()


def test_no_page_names_a_folder_of_some_machine():
    own = {str(ROOT), str(Path.home() / ".")}
    places = re.compile(r"(?<![\w.~/])/(?:work|home|Users|root)/[\w.-]+")
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert places.findall(text) == [], page
        assert not any(f"{place}/" in text for place in own - {"/", "/root"}), page


def test_the_index_names_every_page():
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target).resolve() for target in re.findall(r"\]\(([^)#]+)", index.read_text())}
    decisions = ROOT / "docs/adr/0001-record-decisions.md"
    linked |= {(decisions.parent / target).resolve() for target in re.findall(r"\]\(([^)#]+)", decisions.read_text())}
    pages = set((ROOT / "docs").rglob("*.md")) - {index}
    assert {str(page.relative_to(ROOT)) for page in pages - linked} == set()


def test_the_page_on_agents_shows_every_preset():
    page = (ROOT / "docs/howto/agents.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    for name, preset in PRESETS.items():
        row = rows[name]
        assert f"`{' '.join(preset.command)}`" in row
        for word in (*preset.credentials, *preset.model_hosts):
            assert f"`{word}`" in row
    assert READ_ON in page
