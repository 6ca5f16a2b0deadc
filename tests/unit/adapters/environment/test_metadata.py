"""A project's metadata, written without building it."""

from __future__ import annotations

from importlib.metadata import distributions
from pathlib import Path

from councilor.adapters.environment.metadata import write_project


def test_the_standard_library_reads_what_was_written(tmp_path: Path) -> None:
    table = {
        "name": "My.Project-x",
        "version": "1.2",
        "description": "Two\nlines",
        "requires-python": ">=3.8",
        "dependencies": ["six>=1"],
        "optional-dependencies": {"test": ["pytest; python_version > '3'", "attrs"]},
        "scripts": {"run": "my.project:main"},
        "entry-points": {"my.plugins": {"one": "my.project:one"}},
    }
    write_project(tmp_path, table)
    (found,) = distributions(path=[str(tmp_path)])
    assert (found.metadata["Name"], found.version, found.metadata["Summary"]) == ("My.Project-x", "1.2", "Two lines")
    assert found.requires == [
        "six>=1",
        "pytest ; (python_version > '3') and extra == \"test\"",
        'attrs ; extra == "test"',
    ]
    assert {(point.group, point.name, point.value) for point in found.entry_points} == {
        ("console_scripts", "run", "my.project:main"),
        ("my.plugins", "one", "my.project:one"),
    }
    assert all(Path(str(found.locate_file(file))).exists() for file in found.files or ())


def test_a_name_cannot_lead_out_of_the_environment(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    write_project(site, {"name": "../evil", "version": "1"})
    write_project(site, {"name": "evil", "version": "1/../../../x"})
    assert list(tmp_path.iterdir()) == [site] and not list(site.iterdir())
