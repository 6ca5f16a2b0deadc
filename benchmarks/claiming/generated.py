"""Claims about a change with what is true of each, and the same perturbed: another number, another name, the opposite.

Rules:
- What a claim should get follows from `Truth` alone: true -> supported, false -> contradicted, and unverifiable where
  docs/reference/claims.md says that nothing more can be said even when it is true (`at_most`).
- Sentences are drawn from several wordings by a seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from claiming.changes import BUG, Change
from claiming.truth import Truth

__all__ = ["Generated", "generate"]

SUPPORTED, CONTRADICTED, UNVERIFIABLE = "supported", "contradicted", "unverifiable"


@dataclass(frozen=True, kw_only=True)
class Generated:
    """One sentence."""

    text: str
    predicate: str
    true: bool
    expected: str
    perturbed: str
    """`` for a plain one, else `number`, `symbol`, `polarity`."""


@dataclass(kw_only=True)
class _Writer:
    """Writes sentences about one change."""

    change: Change
    truth: Truth
    random: random.Random

    def say(self, predicate: str, true: bool, *wordings: str, perturbed: str = "", at_most: str = "") -> Generated:
        """One sentence; `at_most` is what a true one gets when it cannot be shown."""
        expected = (at_most or SUPPORTED) if true else CONTRADICTED
        text = self.random.choice(wordings)
        return Generated(text=text, predicate=predicate, true=true, expected=expected, perturbed=perturbed)

    def other(self, number: int) -> int:
        """Another number, never smaller than 1."""
        return number + self.random.choice([step for step in (-2, -1, 1, 2, 7) if number + step > 1])


def generate(change: Change, truth: Truth, seed: int) -> tuple[Generated, ...]:
    """Every sentence about a change, each once."""
    writer = _Writer(change=change, truth=truth, random=random.Random(seed))
    found = [item for part in (_tests, _names, _files, _tools, _task, _figures) for item in part(writer)]
    return tuple({item.text: item for item in found}.values())


def _tests(writer: _Writer) -> Iterator[Generated]:
    truth, say = writer.truth, writer.say
    count = len(truth.passed)
    yield say("tests_pass", truth.green, "All tests pass.", "The whole test suite passes.", "Every test is green.")
    yield say("tests_pass", truth.green, f"All {count} tests pass.", f"All {count} tests are green now.")
    wrong = writer.other(count)
    yield say("tests_pass", False, f"All {wrong} tests pass.", f"All {wrong} tests passed.", perturbed="number")
    bad = count - sum(truth.passed.values())
    if bad:
        yield say("tests_pass", True, f"{count - bad} of {count} tests pass.")
        yield say("tests_pass", False, f"{count - bad + 1} of {count} tests pass.", perturbed="number")
    for name, good in sorted(truth.passed.items())[:4]:
        test = name.rpartition("::")[2]
        if sum(other.endswith(f"::{test}") for other in truth.passed) == 1 and "[" not in test:
            yield say("test_passes", good, f"`{test}` passes.", f"The test `{test}` now passes.")
    new = len(truth.new_tests)
    renamed = bool(set(truth.passed_before) - set(truth.passed))
    if not renamed:
        yield say("tests_added", new > 0, "I added tests.", "Tests were added.", "Added some tests.")
    if new > 1 and not renamed:
        yield say("tests_added", True, f"Added {new} tests.", f"I wrote {new} new tests.")
        yield say("tests_added", False, f"Added {writer.other(new)} tests.", perturbed="number")
    shown = bool(truth.shown)
    yield say("fix_tested", shown, "The new test fails without the change.", "A test fails before the fix.")
    flipped = {
        name for name, good in truth.passed.items() if name in truth.passed_before and truth.passed_before[name] != good
    }
    changed = bool(flipped) or truth.api_changed
    yield say(
        "behaviour_unchanged",
        not changed,
        "This is a pure refactoring.",
        "No functional changes.",
        at_most=UNVERIFIABLE,
    )


def _names(writer: _Writer) -> Iterator[Generated]:
    truth, say = writer.truth, writer.say
    fresh, gone, kept = (
        truth.names - truth.names_before,
        truth.names_before - truth.names,
        truth.names & truth.names_before,
    )
    kept = {name for name in kept if truth.changed and "_" in name and not name.startswith("_")}
    for name in sorted(fresh)[:3]:
        yield say("added", True, f"Added the function `{name}`.", f"Introduces `{name}`.", f"`{name}` was added.")
        yield say("removed", False, f"Removed `{name}`.", f"Deleted the function `{name}`.", perturbed="polarity")
        yield say("added", False, f"Added the class `{name}`.", perturbed="symbol")
    for name in sorted(gone)[:3]:
        yield say("removed", True, f"Removed the function `{name}`.", f"`{name}` was removed.", f"Dropped `{name}`.")
        yield say("added", False, f"Added `{name}`.", perturbed="polarity")
    if writer.change.spec and "shop/core.py" in truth.changed:
        for name in sorted(kept & set(writer.change.names) or sorted(kept)[:1])[:2]:
            if name in ("slow",):
                continue
            yield say("removed", False, f"Removed `{name}`.", perturbed="symbol")
            yield say("renamed", False, f"Renamed `{name}` to `{name}_all`.", perturbed="symbol")
    yield say("added", False, "Added the function `compute_everything`.", perturbed="symbol")
    for name in sorted(kept):
        before, after = truth.heads_before[name], truth.heads[name]
        if "digits" in after and "digits" not in before:
            yield say(
                "added", True, f"Added a `digits` parameter to `{name}`.", f"`{name}` takes a new argument `digits`."
            )
            yield say("added", False, f"Added a `places` parameter to `{name}`.", perturbed="symbol")
            yield say("removed", False, f"Removed the `digits` parameter from `{name}`.", perturbed="polarity")
    yield say("no_api_change", not truth.api_changed, "The public API is unchanged.", "No API changes.")


def _files(writer: _Writer) -> Iterator[Generated]:
    truth, say = writer.truth, writer.say
    paths = sorted(truth.changed)
    every = " and ".join(f"`{path}`" for path in paths)
    yield say("only_touched", True, f"I only touched {every}.", f"Changes are limited to {every}.")
    if len(paths) > 1:
        fewer = " and ".join(f"`{path}`" for path in paths[1:])
        yield say("only_touched", False, f"I only touched {fewer}.", f"Only {fewer} were changed.", perturbed="symbol")
    for path, letter in list(truth.changed.items())[:5]:
        yield say(
            "added_file",
            letter == "A",
            f"Created `{path}`.",
            f"Added the file `{path}`.",
            perturbed="" if letter == "A" else "polarity",
        )
        yield say("untouched", False, f"`{path}` was not touched.", f"I left `{path}` alone.", perturbed="polarity")
    for path in ("README.md", "setup.cfg"):
        yield say("untouched", path not in truth.changed, f"`{path}` is unchanged.", f"I did not touch `{path}`.")
    fresh = truth.requirements - truth.requirements_before
    yield say(
        "no_new_dependencies",
        not fresh,
        "No new dependencies.",
        "This adds no dependencies.",
        "No dependencies were added.",
    )


def _tools(writer: _Writer) -> Iterator[Generated]:
    truth, say = writer.truth, writer.say
    if not writer.change.spec:
        return
    yield say("lint_clean", not truth.lint, "Ruff is clean.", "`ruff check` passes.", "No lint errors.")
    yield say(
        "lint_clean",
        not set(truth.lint) - set(truth.lint_before),
        "No new lint warnings.",
        "There are no new ruff findings.",
    )
    yield say("types_clean", not truth.types, "Mypy is clean.", "Type checking passes.", "mypy reports no errors.")
    yield say("secure", truth.security_new <= 0, "No new security issues.", "No security issues were introduced.")


def _task(writer: _Writer) -> Iterator[Generated]:
    truth, say = writer.truth, writer.say
    if not writer.change.spec:
        return
    met = next((good for name, good in truth.kept.items() if name.endswith(f"::test_{BUG}")), False)
    yield say("fixes", met, "A1 is met.", "Fixes #7.", "Acceptance criterion A1 is satisfied.")
    fixed = say("fixes", met, "Fixes #8.", "Closes #70.", perturbed="number")
    yield Generated(text=fixed.text, predicate="fixes", true=False, expected=UNVERIFIABLE, perturbed="number")


def _figures(writer: _Writer) -> Iterator[Generated]:
    truth, say = writer.truth, writer.say
    done, total = truth.coverage
    if total and writer.change.spec:
        share = 100 * done / total
        yield say(
            "coverage",
            True,
            f"{share:.0f} % of the changed lines are covered.",
            f"Coverage of the changed lines is {share:.0f} %.",
        )
        wrong = share - 45 if share > 50 else share + 45
        yield say("coverage", False, f"{wrong:.0f} % of the changed lines are covered.", perturbed="number")
    if not writer.change.spec:
        return
    faster = truth.ratio > 1.1
    ratio = f"{truth.ratio:.0f}"
    yield say("faster", faster, "`slow` is faster now.", "`slow` runs faster.")
    if faster:
        yield say("faster", True, f"`slow` is {ratio}x faster.", f"`slow` is {ratio} times as fast.")
        yield say(
            "faster",
            False,
            f"`slow` is {int(ratio) + 3}x faster.",
            f"`slow` is {int(ratio) * 3} times as fast.",
            perturbed="number",
        )
    if "shop/core.py" in truth.changed:
        yield say("complexity", False, "The cyclomatic complexity of `sum_all` is now 9.", perturbed="number")
