"""What a worker that asks first is answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from councilor.domain.permission import Bounds, Wish, decide, why_not_write

BOUNDS = Bounds(
    folder="/runs/space",
    scope_in=("src", "docs/*.md", ".caws/policy.yaml"),
    scope_out=("src/vendored",),
    scope_free=("notes", "CHANGES"),
)


@pytest.mark.parametrize(
    "path",
    ["src/a.py", "/runs/space/src/a.py", "src/../src/b/c.py", "docs/x.md", "notes/today", "CHANGES", "src/.caws/x",
     ".caws/policy.yaml"],
)  # fmt: skip
def test_what_the_gates_let_through_may_be_written(path: str) -> None:
    assert why_not_write(path, BOUNDS) is None


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("other.py", "SCOPE-1"),
        ("docs/deep/x.md", "SCOPE-1"),
        ("src/vendored/a.py", "SCOPE-2"),
        ("../space2/src/a.py", "not a file of the workspace"),
        ("/etc/passwd", "not a file of the workspace"),
        ("/runs/space", "not a file of the workspace"),
        ("/runs/spaces/src/a.py", "not a file of the workspace"),
        ("src/../../x", "not a file of the workspace"),
        (".git/config", "PATH-1"),
        ("src/.GIT/hooks/x", "PATH-1"),
        (".caws/specs/X.yaml", "PATH-2"),
        (".CAWS/policy.yaml", "PATH-2"),
        (".github/workflows/ci.yml", "PATH-3"),
        ("uv.lock", "PATH-4"),
        ("src/sitecustomize.py", "PATH-6"),
        ("src/x.pyc", "PATH-6"),
        (".gitmodules", "PATH-7"),
        ("src/a\nb.py", "PATH-8"),
    ],
)
def test_what_a_gate_would_refuse_may_not_be_written(path: str, reason: str) -> None:
    refusal = why_not_write(path, BOUNDS)
    assert refusal is not None
    assert reason in refusal


def test_the_workspace_may_be_called_by_its_real_path() -> None:
    bounds = Bounds(folder="/runs/space", real_folder="/disk/runs/space", scope_in=("src",), scope_out=())
    assert bounds.locate("/disk/runs/space/src/a.py") == bounds.locate("/runs/space/src/a.py") == "src/a.py"
    assert bounds.locate("/disk/runs/other") is None


def test_compiled_files_may_be_deleted() -> None:
    assert decide(Wish(kind="delete", paths=("src/x.pyc",)), BOUNDS).allowed
    assert not decide(Wish(kind="edit", paths=("src/x.pyc",)), BOUNDS).allowed


@pytest.mark.parametrize("kind", ["read", "search", "execute", "think", "switch_mode", "other", "invented"])
def test_what_the_sandbox_holds_is_allowed(kind: str) -> None:
    assert decide(Wish(kind=kind, title="rm -rf /", paths=("/etc/passwd",)), BOUNDS).allowed


def test_nothing_is_fetched() -> None:
    assert not decide(Wish(kind="fetch", title="https://example.org"), BOUNDS).allowed


@pytest.mark.parametrize("kind", ["edit", "delete", "move", "other", "read"])
def test_an_edit_by_any_name_is_an_edit(kind: str) -> None:
    assert decide(Wish(kind=kind, edits=("src/a.py",)), BOUNDS).allowed
    assert not decide(Wish(kind=kind, edits=("src/a.py", "other.py")), BOUNDS).allowed


def test_every_end_of_a_move_counts() -> None:
    assert decide(Wish(kind="move", paths=("src/a.py", "src/b.py")), BOUNDS).allowed
    assert not decide(Wish(kind="move", paths=("src/a.py", "b.py")), BOUNDS).allowed


def test_a_write_without_a_path_is_left_to_the_gates() -> None:
    ruling = decide(Wish(kind="edit"), BOUNDS)
    assert ruling.allowed
    assert "gates" in ruling.reason


@given(st.text(alphabet="./srcax\0\n", max_size=20))
def test_whatever_is_allowed_lies_inside(path: str) -> None:
    if why_not_write(path, BOUNDS) is None:
        place = BOUNDS.locate(path)
        assert place is not None
        assert not place.startswith(("/", ".."))
        assert ".." not in place.split("/")
