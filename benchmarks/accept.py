"""Does the council accept right patches and refuse plausible wrong ones? How often does it err, and how sure is that?

What is measured:
- Cases (`acceptance/`) are built at run time from source distributions: a library with a bug or without a feature, one
  visible test that fails, and a patch. right: the original back. wrong: other edits that pass that test and fail hidden
  ones. natural: all of these. hard: wrong ones that pass every visible test too. A second arm brings tests of its own;
  attacks are over-scope, tampered tests, empty patches, false reports, insecure lines, flaky suites, forged results.
- Hidden tests are in no tree of the repository that the council judges, and the sandbox cannot read the bench's folders
  (checked before anything is judged). Half of the bases keep 50 % of the other tests visible, half 75 %.
- The product's whole path, with the settings as shipped: spec, gates, evidence, claims, council.

Variables: LIBS=a,b==1.2; SEED=n; SHARE=50 or 75; ONLY=kind; JOBS=4; QUICK=1 a small part; CASE=id,...; MAKE=1 makes the
cases anew (else they are kept in the user's cache folder); SAVE=folder gets a line of JSON for each case; ASK=open
asks the oracle about every open case, not only one in three, ASK=all about decided ones, too; KEEP=1 leaves the folder.
The last line is JSON: {"cases", "far", "far_baseline", "frr", "abstain", "hard_far", "hard_right_accepted", ...}.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/support"), str(ROOT / "benchmarks")]

from acceptance.cases import Arm, Case, Kind  # noqa: E402  # found through the line above
from acceptance.figures import attacks, far_as_offered, intervals, natural, rates  # noqa: E402
from acceptance.judged import Judged  # noqa: E402
from acceptance.judging import judge_all  # noqa: E402
from acceptance.keeping import Kept, load, place, save  # noqa: E402
from acceptance.making import make  # noqa: E402
from acceptance.matching import check  # noqa: E402
from acceptance.plan import FULL, QUICK  # noqa: E402
from acceptance.secrecy import check_secrecy  # noqa: E402
from acceptance.tables import print_tables  # noqa: E402
from planting.catalogue import SEED  # noqa: E402
from planting.ground import Ground, prepare_ground  # noqa: E402
from planting.library import IndexUnreachableError, Library, fetch  # noqa: E402
from planting.results import quantile  # noqa: E402
from planting.workplace import folder, say  # noqa: E402

from councilor.app import Tools, embedded_server, open_service, open_tools  # noqa: E402
from councilor.settings import Settings, load_settings  # noqa: E402

LIBRARIES = "parse,boltons"
KEYS = (
    "cases", "far", "far_baseline", "frr", "abstain", "hard_far", "hard_right_accepted", "resolved_by_one_question",
    "tamper_accepted", "forge_accepted", "overscope_accepted", "lie_supported", "vulnerable_accepted", "p50_s",
)  # fmt: skip


def libraries() -> list[str]:
    """What LIBS names; only the first for a short run."""
    named = [name.strip() for name in os.environ.get("LIBS", LIBRARIES).split(",") if name.strip()]
    return named[:1] if os.environ.get("QUICK") else named


async def kept_cases(chosen: Sequence[Library], folder: Path, tools: Tools, seed: int) -> Kept:
    """The cases, as they are kept or made now."""
    plan = QUICK if os.environ.get("QUICK") else FULL
    file = place(chosen, seed, plan)
    anew = bool(os.environ.get("MAKE"))
    kept = None if anew else load(file)
    if kept is None:
        say("making the cases; this takes some minutes, and is done once")
        kept = await make(chosen, folder / "making", tools, plan=plan, seed=seed, say=say, anew=anew)
        save(kept, file)
    hard = f"{kept.offered_hard} of {kept.offered} wrong patches on offer pass all visible tests"
    say(f"{len(kept.cases)} cases of {len(kept.bases)} bases, made in {kept.seconds:.0f} s; {hard}")
    return kept


def choose(kept: Kept) -> list[Case]:
    """The cases that the variables ask for."""
    bases = {base.id: base for base in kept.bases}
    chosen = list(kept.cases)
    if shares := os.environ.get("SHARE"):
        chosen = [case for case in chosen if str(bases[case.base].share) in shares.split(",")]
    if only := os.environ.get("ONLY"):
        chosen = [case for case in chosen if only in {case.kind.value, case.arm.value}]
    if named := os.environ.get("CASE"):
        chosen = [case for case in chosen if case.id in named.split(",")]
    if not chosen:
        sys.exit("no case is left: ONLY is one of " + ", ".join([*Kind, *Arm]) + "; SHARE is 50 or 75")
    return chosen


async def run(settings: Settings, kept: Kept, cases: Sequence[Case], grounds: dict[str, Ground]) -> list[Judged]:
    """Judge the cases; each is told, and saved where SAVE says."""
    ended = 0
    file = Path(os.environ["SAVE"]) / "cases.jsonl" if os.environ.get("SAVE") else None
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)

    def done(judged: Judged) -> None:
        nonlocal ended
        ended += 1
        if file:
            with file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(judged.line()) + "\n")
        say(f"[{ended}/{len(cases)}] {story(judged)}")

    async with open_service(settings) as service:
        await check_secrecy(service.tools, list(grounds.values()))
        return await judge_all(
            service, grounds, kept.bases, cases, jobs=int(os.environ.get("JOBS", "4")), done=done
        )  # fmt: skip


def story(judged: Judged) -> str:
    """A case in one line."""
    case = judged.case
    truth = "right" if case.right else "hard" if case.hard and case.arm is not Arm.ATTACK else "wrong"
    act = f" ({case.act})" if case.act else ""
    why = judged.error
    if judged.verdict and not judged.accepted:
        why = ", ".join([*judged.verdict.vetoes, *(item.partition(":")[0] for item in judged.verdict.missing_evidence)])
    return f"{case.id} of {judged.base.id}: {truth}{act}, {judged.decision}, {judged.seconds:.1f} s {why}".rstrip()


def last_line(
    judged: Sequence[Judged], kept: Kept, seed: int, spans: dict[str, tuple[float, float]]
) -> dict[str, object]:
    """The figures."""
    found: dict[str, object] = {"cases": len(judged), **rates(judged), **attacks(judged)}
    found["p50_s"] = round(quantile([each.seconds for each in judged], 0.5), 2)
    rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in found.items()}
    plain = natural(judged)
    right, wrong = ([each.case.size for each in plain if each.case.right is side] for side in (True, False))
    offered_hard = kept.offered_hard / kept.offered if kept.offered else 0.0
    as_offered = far_as_offered(judged, offered_hard)
    more = {
        "intervals": spans,
        "natural_right": len(right),
        "natural_wrong": len(wrong),
        "hard": sum(each.case.hard for each in plain),
        "offered_hard_share": round(offered_hard, 4),
        "far_as_offered": None if as_offered is None else round(as_offered, 4),
        "size_areas": {name: round(each.area, 3) for name, each in check(right, wrong).items()},
        "errors": sum(bool(each.error) for each in judged),
        "make_s": round(kept.seconds, 1),
        "seed": seed,
    }
    return {name: rounded[name] for name in KEYS} | {name: rounded[name] for name in rounded if name not in KEYS} | more


async def main() -> None:
    """Measure and print. A figure is no failure: the exit code says only whether it could be measured."""
    seed = int(os.environ.get("SEED", str(SEED)))
    chosen = [await asyncio.to_thread(fetch, name) for name in libraries()]
    with folder() as top:
        settings = load_settings(flags={"data_dir": str(top / "data"), "storage.database.url": None})
        async with open_tools(settings) as tools:
            kept = await kept_cases(chosen, top, tools, seed)
            cases = choose(kept)
            began = time.perf_counter()
            used = {base.library for base in kept.bases if any(case.base == base.id for case in cases)}
            grounds = {
                library.name: await prepare_ground(library, top / library.name, seed=seed, tools=tools)
                for library in chosen
                if library.name in used
            }
        try:
            judged = await run(settings, kept, cases, grounds)
        finally:
            await asyncio.to_thread(embedded_server(settings).down)
    spans = intervals(judged, seed=seed)
    print_tables(judged, spans)
    figures = last_line(judged, kept, seed, spans)
    print(json.dumps(figures | {"elapsed_s": round(time.perf_counter() - began, 1)}))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended from outside, it still stops its database
    try:
        asyncio.run(main())
    except (IndexUnreachableError, RuntimeError, ValueError) as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit(130)
