"""Coverage as a value: shares of changed lines, and measurements put together."""

from __future__ import annotations

from councilor.domain.change import Candidate, ChangeKind, FileChange
from councilor.domain.codec import decode, encode
from councilor.domain.coverage import Branches, Coverage, FileCoverage, changed_lines_of, joined, measure

SHOP = FileCoverage(covered=(1, 2, 5), uncovered=(3,), branches={2: Branches(taken=1, total=2)})


def test_only_executable_lines_that_are_asked_for_count() -> None:
    found = measure(Coverage(files={"shop.js": SHOP}), {"shop.js": (2, 3, 4), "cart.js": (1,)})
    assert (found.covered, found.lines, found.taken, found.branches) == (1, 2, 1, 2)
    assert found.line_share == 0.5
    assert found.uncovered_at == (("shop.js", 2), ("shop.js", 3))
    assert found.unmeasured == ("cart.js",)


def test_a_share_of_nothing_is_no_share() -> None:
    found = measure(Coverage(files={"shop.js": SHOP}), {"shop.js": (4,), "cart.js": (1,)})
    assert found.line_share is None


def test_a_line_that_ran_once_has_run() -> None:
    other = FileCoverage(covered=(3,), uncovered=(1, 6), branches={2: Branches(taken=2, total=2)})
    both = joined([Coverage(files={"shop.js": SHOP}, source="lcov"), Coverage(files={"shop.js": other}, source="x")])
    assert both.files["shop.js"] == FileCoverage(
        covered=(1, 2, 3, 5), uncovered=(6,), branches={2: Branches(taken=2, total=2)}
    )
    assert both.source == "lcov, x"


def test_it_is_stored_as_json() -> None:
    coverage = Coverage(files={"shop.js": SHOP}, source="lcov")
    assert decode(Coverage, encode(coverage)) == coverage


def test_lines_of_a_change() -> None:
    def change(path: str, new: bytes | None, lines: tuple[int, ...], mode: str = "100644") -> FileChange:
        kind = ChangeKind.DELETED if new is None else ChangeKind.MODIFIED
        return FileChange(
            path=path, kind=kind, old_mode=mode, new_mode=mode, old=b"", new=new,
            added_lines=len(lines), removed_lines=0, changed_lines=lines,
        )  # fmt: skip

    changes = (
        change("a.js", b"x", (1, 2)),
        change("gone.js", None, ()),
        change("link.js", b"a.js", (1,), "120000"),
        change("test/a.test.js", b"x", (3,)),
    )
    candidate = Candidate(base_commit="a", base_tree="b", tree="c", changes=changes)
    assert changed_lines_of(candidate, leave_out={"test/a.test.js"}) == {"a.js": (1, 2)}
