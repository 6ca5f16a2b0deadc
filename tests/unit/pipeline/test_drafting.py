"""Drafts of specs: what is guessed from a sentence and a repository, why, and that the text is a valid spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from councilor.domain.policy import Policy
from councilor.domain.spec import check_spec
from councilor.domain.specdraft import Guess, SpecDraft
from councilor.errors import InputError
from councilor.pipeline.drafting import Wish, draft
from councilor.pipeline.terrain import Terrain, read_terrain

TEXTS = {
    "src/shop/__init__.py": "",
    "src/shop/cart.py": '__all__ = ["Cart", "total"]\nclass Cart: pass\ndef total(): pass\ndef _hidden(): pass\n',
    "src/shop/volume_discount.py": "BREAKS = []\n\ndef discount(quantity):\n    return 0\n",
    "src/shop/auth.py": "def login(): pass\n",
    "web/price.js": "export function price() {}\nmodule.exports = { price, tax };\n",
    "web/price.test.js": "const { price } = require('./price.js');\n",
    "tests/test_cart.py": "from shop.cart import total\n\ndef test_total(): pass\n\n"
    "class TestCart:\n    def test_empty(self): pass\n",
    "tests/test_discounts.py": "from shop import volume_discount\n\ndef test_exactly_ten(): pass\n",
}
TERRAIN = Terrain(paths=tuple(sorted([*TEXTS, "README.md"])), texts=TEXTS)


def drafted(sentence: str, terrain: Terrain = TERRAIN, policy: Policy | None = None, **more: Any) -> dict[str, Guess]:
    found = draft(Wish(sentence=sentence, number=7, **more), terrain, policy or Policy(), at="abc")
    text = found.text()
    assert check_spec(text) == ()
    assert {guess.field: guess.value for guess in found.guesses} == yaml.safe_load(text), "comments change nothing"
    return {guess.field: guess for guess in found.guesses}


def scope(found: dict[str, Guess]) -> list[str]:
    entries: list[str] = found["scope"].value["in"]
    return entries


def criterion(found: dict[str, Guess]) -> dict[str, Any]:
    (only,) = found["acceptance"].value
    return dict(only)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Fix src/shop/cart.py", ["src/shop/cart.py", "tests/test_cart.py"]),
        ("Fix cart.py", ["src/shop/cart.py", "tests/test_cart.py"]),
        ("Fix shop.cart.total", ["src/shop/cart.py", "tests/test_cart.py"]),
        ("Fix the `total` of a basket", ["src/shop/cart.py", "tests/test_cart.py"]),
        ("The volume discount is wrong", ["src/shop/volume_discount.py", "tests/test_discounts.py"]),
        ("Fix price()", ["web/price.js", "web/price.test.js"]),
        ("test_exactly_ten fails", ["src/shop/volume_discount.py", "tests/test_discounts.py"]),
        ("discount ignores the first break", ["src/shop/volume_discount.py", "tests/test_discounts.py"]),
        ("Cart.add loses an item", ["src/shop/cart.py", "tests/test_cart.py"]),
        ("test_login fails", ["src/shop/auth.py"]),
        ("Improve the weather", ["**"]),
        ("Fix src/shop", ["src/shop", "tests/test_cart.py", "tests/test_discounts.py"]),
    ],
)
def test_the_scope_is_what_the_sentence_is_about(sentence: str, expected: list[str]) -> None:
    assert scope(drafted(sentence)) == expected


def test_a_guess_says_why_and_what_to_check() -> None:
    found = drafted("The volume discount is wrong")
    assert (found["mode"].value, "`wrong`" in found["mode"].why) == ("fix", True)
    assert "words of the sentence" in found["scope"].why
    assert "2 files may change" in found["scope"].check
    assert "Nothing in the repository matches" in drafted("Improve the weather")["scope"].why


def test_named_tests_are_the_criterion() -> None:
    found = criterion(drafted("test_exactly_ten and TestCart fail"))
    assert found["test_nodeids"] == [
        "tests/test_cart.py::TestCart::test_empty",
        "tests/test_discounts.py::test_exactly_ten",
    ]
    missing = drafted("Fix it so that tests/test_new.py::test_x passes")
    assert criterion(missing)["test_nodeids"] == ["tests/test_new.py::test_x"]
    assert "is not there yet" in missing["acceptance"].check


def test_else_the_tests_of_the_scope_are_run() -> None:
    assert criterion(drafted("Fix src/shop/cart.py"))["test_command"] == "python -m pytest -q tests/test_cart.py"
    assert criterion(drafted("Fix price()"))["test_command"] == "node --test web/price.test.js"
    alone = drafted("Fix src/shop/auth.py")
    assert "test_command" not in criterion(alone)
    assert "nothing can be accepted" in alone["acceptance"].check


def test_the_policy_raises_the_tier_and_the_public_names_are_contracts() -> None:
    found = drafted("Fix cart.py", policy=Policy(high_risk_paths={"2": ("src/shop/cart.py",)}))
    assert (found["risk_tier"].value, "src/shop/cart.py" in found["risk_tier"].why) == (2, True)
    assert found["contracts"].value == [
        {"name": "src/shop/cart.py: Cart, total", "type": "api", "path": "src/shop/cart.py"}
    ]
    first = drafted("Fix price()", policy=Policy(high_risk_paths={"1": ("web",)}))
    assert first["risk_tier"].value == 1
    assert {"operational_rollback_slo", "observability", "rollback"} <= set(first)
    assert first["contracts"].value[0]["name"] == "web/price.js: price, tax"


def test_what_a_person_gives_is_taken() -> None:
    found = drafted("Fix cart.py", paths=("lib",), nodeids=("tests/test_a.py::test_b",))
    assert (scope(found), criterion(found)["test_nodeids"]) == (["lib"], ["tests/test_a.py::test_b"])


def test_a_migration_is_noticed() -> None:
    assert drafted("Add a migration for carts")["blast_radius"].value["data_migration"] is True


def test_a_name_that_no_scope_can_hold_is_left_out(tmp_path: Path) -> None:
    terrain = read_terrain(tmp_path, ["src/[id].py", "src/a\nb.py", "src/cart.py"])
    assert terrain.paths == ("src/cart.py",)


def test_no_link_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("def total(): pass\n")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/a.py").symlink_to(tmp_path / "secret")
    assert read_terrain(tmp_path / "tree", ["a.py"]).texts == {}


def test_an_empty_sentence_is_refused() -> None:
    with pytest.raises(InputError):
        drafted(" \n")


@given(st.text(max_size=250).filter(lambda text: any(char.isprintable() and not char.isspace() for char in text)))
@settings(max_examples=30, deadline=None)
def test_any_sentence_makes_a_valid_spec(sentence: str) -> None:
    drafted(sentence)


def test_no_text_leaves_its_comment() -> None:
    guesses = (Guess(field="id", value="TASK-1", why="a\nrisk_tier: 1\n\x85b: 2"),)
    text = "\n".join(SpecDraft(source="x\ny: 1", guesses=guesses).lines())
    assert yaml.safe_load(text) == {"id": "TASK-1"}
