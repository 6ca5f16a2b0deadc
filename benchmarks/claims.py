"""How well claims are found in sentences, and how rightly they are judged.

What is measured:
- Extraction on the labelled sentences of `claiming/` (labels.md): precision and recall of claims, each with predicate,
  subject and value. `unseen` was looked at by nobody who writes the extractor; its figures are the ones. `dev`, both
  halves that were, and `held_out`, the one of them that was opened last, stand beside them.
- Status on claims made at run time about real changes of repositories (`claiming/changes.py`), with truth computed
  apart from councilor (`claiming/truth.py`), plain and perturbed (number, symbol, polarity): the share that gets the
  expected status, and how many false ones were called supported.

`QUICK=1` takes one small change and no library. The last line is JSON: {"sentences", "extract_precision",
"extract_recall", "status_accuracy", "false_supported", "dev", "held_out"}; a figure is no failure: exit 2 if something
cannot be had.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from claiming.changes import LIBRARIES, Change, make_change
from claiming.generated import Generated, generate
from claiming.labelled import Expected, Half, MislabelledError, Sentence, load
from claiming.matching import pair
from claiming.truth import find_truth
from planting.library import IndexUnreachableError

from councilor.app import Tools, open_tools
from councilor.domain.claim import AtomicClaim, CheckedSentence
from councilor.domain.spec import draft_spec
from councilor.domain.task import RunMode
from councilor.pipeline.claims import ClaimContext, check_report
from councilor.pipeline.claims.extraction import read
from councilor.pipeline.claims.sentences import split_sentences
from councilor.pipeline.submission import Order, draft_task
from councilor.settings import load_settings

CHANGES, QUICK_CHANGES = 8, 1
AT_ONCE = 2
"""Changes that are judged at the same time: most of one is waiting for its own tests."""
SHOWN = 12
SAME = {"added_parameter": "added", "removed_parameter": "removed", "no_breaking_change": "no_api_change"}
"""Predicates that the labels do not tell apart."""
UNSAID = frozenset({"added", "removed", "lint_clean", "types_clean", "secure", "builds"})
"""Predicates whose value labels do not have."""


@dataclass(frozen=True)
class Found:
    """Counts of claims in a half."""

    sentences: int
    expected: int
    found: int
    right: int

    @property
    def precision(self) -> float:
        """Share of the claims found that are labelled so."""
        return self.right / max(1, self.found)

    @property
    def recall(self) -> float:
        """Share of the labelled claims that are found."""
        return self.right / max(1, self.expected)


def as_label(claim: AtomicClaim) -> Expected:
    """A claim in the form of the labels."""
    predicate = SAME.get(claim.predicate, claim.predicate)
    subject = "" if predicate == "tests_pass" else claim.subject
    return Expected(predicate=predicate, subject=subject, value="" if predicate in UNSAID else claim.value or "")


def found_in(sentence: Sentence) -> list[Expected]:
    """The claims that are read in a labelled sentence, after the one before it."""
    start = len(sentence.before) + 2 if sentence.before else 0
    readings = read(split_sentences(f"{sentence.before}\n\n{sentence.text}" if start else sentence.text))
    return [as_label(claim) for item in readings if item.sentence.span[0] >= start for claim in item.claims]


def extraction(*halves: Half) -> Found:
    """How well the claims of some halves are found."""
    sentences = [sentence for half in halves for sentence in load(half)]
    expected = found = right = 0
    for sentence in sentences:
        read_here = found_in(sentence)
        expected += len(sentence.label.claims)
        found += len(read_here)
        right += len(pair(sentence.label.claims, read_here))
    return Found(sentences=len(sentences), expected=expected, found=found, right=right)


async def context_of(tools: Tools, change: Change, report: str) -> ClaimContext:
    """A change measured, with what its report makes worth measuring."""
    async with tools.temporary_run() as folder:
        repository = await tools.repositories.open(change.folder, store=folder.store)
        base, head = await repository.resolve("HEAD~1"), await repository.resolve("HEAD")
        order = Order(
            spec_text=change.spec or draft_spec("Change it", number=1),
            base=base,
            worker=None,
            mode=RunMode.DRY_RUN,
            max_iterations=1,
            deadline_s=900.0,
            candidate_tree=head.tree,
        )
        task = await draft_task(order, repository, clock=tools.runtime.clock, ids=tools.runtime.ids)
        inspector = tools.inspector(repository, folder)
        found = await inspector.examine(task, head.tree, static=False, report=report, always=True)
    return ClaimContext(given=found.given, gates=found.gates)


def status_of(item: Generated, sentences: Sequence[CheckedSentence]) -> str:
    """What became of a sentence's claim."""
    about = next((sentence for sentence in sentences if _plain(sentence.text) == _plain(item.text)), None)
    claims = (
        [claim for claim in about.claims if SAME.get(claim.claim.predicate, claim.claim.predicate) == item.predicate]
        if about
        else []
    )
    return claims[0].status.value if claims else "not_a_claim"


def _plain(text: str) -> str:
    return text.replace("`", "").strip()


@dataclass
class Judged:
    """Statuses of generated claims."""

    total: int = 0
    right: int = 0
    false_supported: int = 0

    def __post_init__(self) -> None:
        self.wrong: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()

    def add(self, item: Generated, status: str, where: str) -> None:
        """Count one."""
        self.total += 1
        self.kinds[item.perturbed or "plain"] += 1
        self.right += status == item.expected
        lied = status == "supported" and not item.true
        self.false_supported += lied
        if status != item.expected or lied:
            self.wrong[f"{where}: {item.text} is {status}, not {item.expected}"] += 1


async def statuses(count: int, libraries: Sequence[str]) -> Judged:
    """How rightly generated claims are judged, `AT_ONCE` changes at a time."""
    judged = Judged()
    free = asyncio.Semaphore(AT_ONCE)
    jobs: list[tuple[int, str | None]] = [(100 + at, library) for at, library in enumerate(libraries)]
    jobs += [(seed, None) for seed in range(count)]
    with tempfile.TemporaryDirectory(prefix="claims-") as name:
        root = Path(name)
        async with open_tools(load_settings(flags={"data_dir": str(root / "data")})) as tools:

            async def one(seed: int, library: str | None) -> None:
                async with free:
                    await judge_change(tools, root, seed, library, judged)

            await asyncio.gather(*(one(seed, library) for seed, library in jobs))
    return judged


async def judge_change(tools: Tools, root: Path, seed: int, library: str | None, judged: Judged) -> None:
    """Make one change, generate claims about it, and count how they are judged."""
    begun = time.perf_counter()
    change = await asyncio.to_thread(make_change, root / f"change-{seed}", seed, library)
    truth = await asyncio.to_thread(find_truth, change, root / f"truth-{seed}")
    items = generate(change, truth, seed)
    report = "\n".join(f"- {item.text}" for item in items)
    sentences = check_report(report, await context_of(tools, change, report))
    right = 0
    for item in items:
        status = status_of(item, sentences)
        right += status == item.expected
        judged.add(item, status, change.name)
    print(
        f"  {change.name:16} {right:3} of {len(items):3} as expected, {time.perf_counter() - begun:.0f} s", flush=True
    )


def show(parts: dict[str, Found], judged: Judged) -> None:
    """The table for people."""
    print(f"{'half':10} {'sentences':>9} {'labelled':>9} {'found':>6} {'precision':>9} {'recall':>7}")
    for name, half in parts.items():
        print(f"{name:10} {half.sentences:9} {half.expected:9} {half.found:6} {half.precision:9.3f} {half.recall:7.3f}")
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(judged.kinds.items()))
    print(f"generated: {judged.total} claims ({kinds}), {judged.right} with the expected status")
    for text in list(judged.wrong)[:SHOWN]:
        print(f"  {text}")


def main() -> int:
    """Measure everything."""
    quick = bool(os.environ.get("QUICK"))
    try:
        dev, held_out = extraction(Half.DEV, Half.HELD_OUT), extraction(Half.HELD_OUT)
        unseen = extraction(Half.UNSEEN)
        judged = asyncio.run(statuses(QUICK_CHANGES if quick else CHANGES, () if quick else LIBRARIES))
    except IndexUnreachableError as error:
        print(f"bench-claims: a source distribution is neither cached nor to be had: {error}", file=sys.stderr)
        return 2
    except MislabelledError as error:
        print(f"bench-claims: {error}", file=sys.stderr)
        return 2
    show({"dev": dev, "held_out": held_out, "unseen": unseen}, judged)
    accuracy = judged.right / max(1, judged.total)
    figures = {
        "sentences": dev.sentences + unseen.sentences + judged.total,
        "extract_precision": round(unseen.precision, 3),
        "extract_recall": round(unseen.recall, 3),
        "status_accuracy": round(accuracy, 3),
        "false_supported": judged.false_supported,
        **{
            name: {"extract_precision": round(part.precision, 3), "extract_recall": round(part.recall, 3)}
            for name, part in (("dev", dev), ("held_out", held_out))
        },
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
