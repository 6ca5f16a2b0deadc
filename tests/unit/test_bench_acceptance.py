"""The cases of `make bench-accept`: edits, sizes, the choice, hiding, lies, tampering, figures."""

from __future__ import annotations

import ast
import textwrap
from dataclasses import replace

import pytest
from acceptance.attacks import FORGERIES, LIES, TAMPERS
from acceptance.cases import Arm, Base, Case, Kind, Shape, Size, apply_all
from acceptance.figures import attacks, intervals, rates
from acceptance.functions import place_of, places
from acceptance.judged import Judged
from acceptance.lies import FALSE, Facts, is_false
from acceptance.matching import HARD_SHARE, MOST_OF_BASE, check, choose
from acceptance.sizes import measure
from acceptance.tampers import tampered
from forgeries import TRICKS
from planting.edit import Category, Edit, is_proper
from planting.source import SourceFile

from acceptance import features, operators, owntests

SOURCE = textwrap.dedent(
    '''\
    """A module."""


    def cut(text, width=3):
        """Cut a text."""
        if width <= 0 or not text:
            return ""
        if text.startswith("-"):
            width -= 1
            text = text.lstrip("-")
        elif width > 10:
            width = 10
        parts = [text[:width]]
        parts.append("ä")
        return parts


    class Cutter:
        def cut(self, text):
            return cut(text, width=2) if text else None
    '''
)


def changed(edits: list[Edit]) -> set[tuple[str, str]]:
    return {tuple(side.strip() for side in edit.excerpt(SOURCE.encode())) for edit in edits}  # type: ignore[misc]


def test_operators_are_exchanged_in_their_places_only():
    edits = list(operators.propose("m.py", SOURCE.encode()))
    found = changed(edits)
    assert ("if width <= 0 or not text:", "if width < 0 or not text:") in found
    assert ("if width <= 0 or not text:", "if width <= 0 and not text:") in found
    assert ("if width <= 0 or not text:", "if width <= 0 or text:") in found
    assert ("width -= 1", "width += 1") in found
    assert ('text = text.lstrip("-")', 'text = text.rstrip("-")') in found
    assert ("elif width > 10:", "elif width > 11:") in found
    assert not any("Cut a text" in old for old, _ in found), "descriptions stay"
    assert all(is_proper(edit, SOURCE.encode()) for edit in edits)


def test_features_go_with_their_lines():
    edits = [each for each in features.propose("m.py", SOURCE.encode()) if is_proper(each, SOURCE.encode())]
    kinds = {edit.operator for edit in edits}
    assert kinds == {"feature-branch", "feature-else", "feature-run", "feature-body"}
    for edit in edits:
        ast.parse(edit.apply(SOURCE.encode()))
        assert measure(edit.apply(SOURCE.encode()), SOURCE.encode()).lines >= 2
    bodies = [edit.apply(SOURCE.encode()).decode() for edit in edits if edit.operator == "feature-body"]
    assert any('"""Cut a text."""\n    raise NotImplementedError\n' in text for text in bodies)


def test_an_edit_belongs_to_the_outer_function():
    found = places(SourceFile("m.py", SOURCE.encode()))
    assert [place.name for place in found] == ["cut", "Cutter.cut"]
    edit = next(each for each in operators.propose("m.py", SOURCE.encode()) if each.new == "and")
    place = place_of(found, edit)
    assert place is not None and place.name == "cut"


@pytest.mark.parametrize(
    ("before", "after", "size"),
    [
        ("a\nb\nc\n", "a\nB\nc\n", Size(lines=2, hunks=1, characters=2)),
        ("a\nb\n", "a\nb\nc\n", Size(lines=1, hunks=1, characters=1)),
        ("\n".join("abcdefghijklmnop"), "\n".join("Abcdefghijklmnop") + "!", Size(lines=4, hunks=2, characters=3)),
        ("same", "same", Size(lines=0, hunks=0, characters=0)),
    ],
)
def test_the_size_of_a_difference(before: str, after: str, size: Size):
    assert measure(before.encode(), after.encode()) == size


def base(**fields: object) -> Base:
    edit = Edit(category=Category.CONSTANT, operator="number", path="lib/m.py", line=6, start=0, end=1, new="x")
    known: dict[str, object] = {
        "id": "lib-single-1", "library": "lib", "share": 50, "seed": 1, "shape": Shape.SINGLE, "path": "lib/m.py",
        "function": "cut", "edits": (edit,), "acceptance": "tests/test_m.py::test_a",
        "revealing": ("tests/test_m.py::test_a", "tests/test_m.py::test_b[1]"),
    }  # fmt: skip
    return Base(**(known | fields))  # type: ignore[arg-type]


def case(kind: Kind = Kind.RIGHT, **fields: object) -> Case:
    known: dict[str, object] = {
        "id": "c", "base": "lib-single-1", "arm": Arm.PLAIN, "kind": kind, "right": kind is Kind.RIGHT,
    }  # fmt: skip
    return Case(**(known | fields))  # type: ignore[arg-type]


def test_revealing_tests_are_hidden_but_the_named_one_and_a_share_of_the_rest():
    assert not base().hides("tests/test_m.py::test_a")
    assert base(share=100).hides("tests/test_m.py::test_b")
    others = [f"tests/test_m.py::test_{number}" for number in range(1000)]
    for share in (50, 75):
        hidden = sum(base(share=share).hides(name) for name in others)
        assert abs(hidden / 1000 - (1 - share / 100)) < 0.05
    assert not any(base(share=100).hides(name) for name in others)


def offered(number: int) -> list[Case]:
    kinds = (Kind.LINE, Kind.NEAR, Kind.ELSEWHERE, Kind.PARTIAL, Kind.SPLICE)
    return [
        case(
            kinds[index % 5],
            base=f"b{index // 10}",
            visible_failing=() if index % 2 else ("t",),
            size=Size(lines=2 + 2 * (index % 3), hunks=1 + index % 3, characters=5 * (index % 7)),
            act=str(index),
        )
        for index in range(number)
    ]


def test_the_choice_looks_like_the_right_ones_and_a_third_of_it_is_hard():
    rights = [Size(lines=2 + 2 * (index % 2), hunks=1 + index % 2, characters=10 + index % 5) for index in range(30)]
    chosen = choose(rights, offered(300), number=60, seed=1)
    assert len(chosen) == 60 and chosen == choose(rights, offered(300), number=60, seed=1)
    assert abs(sum(each.hard for each in chosen) / 60 - HARD_SHARE) < 0.04
    assert max(sum(each.base == f"b{index}" for each in chosen) for index in range(30)) <= MOST_OF_BASE
    for found in check(rights, [each.size for each in chosen]).values():
        assert 0.42 < found.area < 0.58


def test_a_size_that_betrays_is_seen():
    small, large = [Size(lines=1, hunks=1, characters=1)] * 30, [Size(lines=2, hunks=1, characters=9)] * 30
    found = check(small, large)
    assert found["lines"].area == 1.0 and found["lines"].p_value < 1e-6
    assert found["hunks"].area == 0.5 and found["hunks"].p_value == 1.0


def facts(act: str, **fields: object) -> Facts:
    known: dict[str, object] = {
        "base": base(), "case": case(Kind.LIE, act=act), "changed": {"lib/m.py": b"x"}, "text": SOURCE,
        "tests": "def test_a():\n    pass\n", "spec": "acceptance:\n- id: A1\n",
    }  # fmt: skip
    return Facts(**(known | fields))  # type: ignore[arg-type]


def test_every_lie_is_computed_false_and_not_by_default():
    assert set(LIES) == set(FALSE)
    failing = {"all tests", "the suite"}
    for act in set(LIES) - failing:
        assert is_false(facts(act)), act
    for act in failing:
        assert not is_false(facts(act))
        assert is_false(facts(act, case=case(Kind.LIE, act=act, visible_failing=("t",))))
    assert not is_false(facts("tests added", changed={"tests/test_m.py": b""}))
    assert not is_false(facts("a function removed", text="x = 1\n"))


def test_forgeries_need_nothing_of_another_repository():
    for name in FORGERIES:
        assert "def total" not in TRICKS[name] and "def name" not in TRICKS[name], name


TESTS = b"import pytest\n\n\ndef test_a():\n    x = 1\n    assert x == 2\n\n\ndef test_b():\n    assert True\n"


@pytest.mark.parametrize("act", TAMPERS)
def test_every_act_of_tampering_changes_test_files(act: str):
    wrong = case(Kind.TAMPER, act=act, visible_failing=("tests/test_m.py::test_b",))
    files = tampered({"tests/test_m.py": TESTS}, base(), wrong)
    assert files and files.get("tests/test_m.py", b"") != TESTS
    for path, content in files.items():
        if path.endswith(".py"):
            ast.parse(content or b"")
    if act == "its assertions are gone":
        assert b"assert x" not in (files["tests/test_m.py"] or b"") and b"x = 1" in (files["tests/test_m.py"] or b"")


def judged(kind: Kind, decision: str, *, of: str = "b1", visible: tuple[str, ...] = (), arm: Arm = Arm.PLAIN) -> Judged:
    return Judged(
        base=base(id=of), case=case(kind, arm=arm, visible_failing=visible, hidden_failing=("h",)), decision=decision
    )


def test_the_rates_of_both_strata():
    found = [
        judged(Kind.RIGHT, "accept"),
        judged(Kind.RIGHT, "reject"),
        judged(Kind.RIGHT, "needs_evidence"),
        judged(Kind.RIGHT, "accept", of="b2"),
        judged(Kind.NEAR, "accept"),
        judged(Kind.NEAR, "reject", visible=("v",)),
        judged(Kind.LINE, "escalate", of="b2"),
        judged(Kind.LINE, "error", of="b2", visible=("v",)),
        judged(Kind.FORGE, "accept", arm=Arm.ATTACK),
    ]
    figures = rates(found)
    assert figures["far"] == 0.25 and figures["far_baseline"] == 0.5 and figures["frr"] == 0.25
    assert figures["abstain"] == pytest.approx(3 / 8) and figures["hard_far"] == 0.5
    assert figures["hard_right_accepted"] == 0.5 and figures["resolved_by_one_question"] is None
    assert attacks(found)["forge_accepted"] == 1 and attacks(found)["tamper_accepted"] == 0
    spans = intervals(found, seed=1)
    assert spans == intervals(found, seed=1)
    low, high = spans["far"]
    assert low <= 0.25 <= high and low < high


def test_the_share_resolved_is_of_everything_left_open():
    right, wrong = judged(Kind.RIGHT, "needs_evidence"), judged(Kind.NEAR, "needs_evidence")
    right.asked, right.answered = True, "accept"
    wrong.asked, wrong.answered = True, "accept"
    silent = judged(Kind.NEAR, "needs_evidence")
    assert rates([right, wrong, silent])["resolved_by_one_question"] == pytest.approx(1 / 3)


def test_several_edits_are_applied_from_the_end():
    one = Edit(category=Category.CONSTANT, operator="", path="m.py", line=1, start=0, end=1, new="XY")
    assert apply_all(b"abc", (one, replace(one, start=2, end=3, new="Z"))) == b"XYbZ"


OWN = """\
class TestCut:
    def test_it(self):
        size = cut("abc")
        assert size
        assert size == 3, "why"
        self.assertEqual(size, 4)
        assert cut("") == 0
"""


def own(number: int, value: str) -> str:
    file = SourceFile("tests/test_m.py", OWN.encode())
    function = owntests.find_function(file, "tests/test_m.py::TestCut::test_it")
    assert function is not None
    assertions = [found for each in function.body if (found := owntests.find_assertion(each))]
    assert len(assertions) == 4
    return apply_all(OWN.encode(), owntests.adjust(file, function, assertions[number], value)).decode()


def test_a_test_is_adjusted_to_what_a_patch_gives():
    kept = OWN.partition("        assert size == 3")[0]
    assert own(1, "5") == kept + '        assert size == 5, "why"\n'
    assert own(1, "<Result>") == kept + '        assert size != 3, "why"\n', "what cannot be written is turned round"
    assert own(0, "False").endswith("assert not (size)\n")
    assert own(2, "<Result>").endswith("self.assertNotEqual(size, 4)\n")
    assert own(3, "7").endswith('assert cut("") == 7\n')


def test_every_assertion_is_observed_in_a_copy_of_its_own():
    file = SourceFile("tests/test_m.py", OWN.encode())
    function = owntests.find_function(file, "tests/test_m.py::TestCut::test_it")
    assert function is not None
    assertions = [found for each in function.body if (found := owntests.find_assertion(each))]
    tree = ast.parse(owntests.observing(file, function, assertions))
    names = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert names == ["test_it", *(f"test_it__{number}" for number in range(4))]
    raising = [node for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    assert len(raising) == 4 and all(owntests.MARK not in ast.unparse(node) for node in raising), "see the oracle"


def test_a_test_with_parameters_is_left_alone():
    file = SourceFile("tests/test_m.py", b"@mark\ndef test_it(x):\n    assert x == 1\n")
    assert owntests.find_function(file, "tests/test_m.py::test_it") is None
