"""Which versions a candidate is compared with, and the question that comes of it.

Rules:
- Compared are the base, the rivals (other edits of the base that pass the same tests), the candidate without one piece
  that no test needs, and the mutants of the candidate that no test notices; at most so many of each as `MOST` says.
- The calls begin with those of tests that reach the change: as the tests' strength found them, else by imports, tests
  that the base fails first.
- Laid out is the candidate's source with the base's tests.
- Questions that were answered before are not asked again.

It says where versions differ, never which one is right. What it runs is untrusted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from councilor.domain.change import Candidate
from councilor.domain.difference import BASE, DifferentialRun
from councilor.domain.evidence import Evidence, EvidenceBundle, EvidenceKind
from councilor.domain.mutation import Source
from councilor.domain.mutation.source import FunctionNode
from councilor.domain.nodeid import file_of
from councilor.domain.question import Alternative, Answered, choose_questions
from councilor.domain.strength import MutantTrial, PieceTrial, alternative_source
from councilor.errors import InputError
from councilor.pipeline.measurement import Meter
from councilor.pipeline.strength.change import ChangedSource, changed_sources
from councilor.ports.differential import DifferentialRequest, Version

__all__ = ["Comparison", "alternatives_of", "changed_functions", "measure_differences"]

MOST = {"rival": 10, "piece": 6, "mutant": 14}
MOST_TESTS = 60
PATIENCE = 2.0
"""How many times as long it may take on a busy machine."""
START_S = 30.0
"""Seconds for the interpreter, pytest and the versions, beyond those for looking."""


async def measure_differences(
    meter: Meter, candidate: Candidate, bundle: EvidenceBundle, answered: Sequence[Answered] = ()
) -> EvidenceBundle:
    """The bundle with the differences that were found and the questions they raise; as it was where none is looked for.

    Args:
        bundle: what was measured before, the tests' strength among it.
        answered: questions that are not asked again.
    """
    sources = changed_sources(candidate, meter.runner.owns)
    if meter.tester is None or meter.limits.differential_s <= 0 or not sources or bundle.uncompiled:
        return bundle
    started, began = meter.clock.now(), meter.clock.monotonic()
    versions = alternatives_of(candidate, sources, bundle, meter.runner.owns)
    comparison = Comparison(meter=meter, candidate=candidate, bundle=bundle, sources=sources, versions=versions)
    tree = await meter.repository.composed(candidate.tree, candidate.base_tree, meter.runner.owns)
    run = await comparison.compare(tree)
    asked = {(each.question.setup, each.question.call) for each in answered}
    calls = [each for each in run.calls if (each.setup, each.call) not in asked]
    questions = choose_questions(calls, {each.id: each for each, _ in comparison.versions})
    evidence = Evidence(
        id=meter.ids.new(),
        kind=EvidenceKind.DIFFERENCE,
        tree=candidate.tree,
        run_tree=tree,
        base_tree=candidate.base_tree,
        command=(meter.tester.name, *(source.path for source in sources[:20])),
        env_hash=meter.environment.env_hash,
        exit_code=run.exit_code,
        log=await meter.keep_log(EvidenceKind.DIFFERENCE, run.log, tree),
        started=started,
        duration_s=meter.clock.monotonic() - began,
        sandbox=meter.sandbox,
    )
    return replace(
        bundle,
        evidence=(*bundle.evidence, evidence),
        differences=replace(run, log=b""),
        questions=questions,
    )


@dataclass(kw_only=True)
class Comparison:
    """One candidate's."""

    meter: Meter
    candidate: Candidate
    bundle: EvidenceBundle
    sources: tuple[ChangedSource, ...]
    versions: list[tuple[Alternative, Version]]
    """The base first."""
    further: Mapping[str, set[str]] = field(default_factory=dict)
    """Path -> names of functions in which versions differ, beside those that the candidate changed."""

    async def compare(self, tree: str) -> DifferentialRun:
        """Look for inputs on which they differ, in an export of `tree`."""
        meter, tester = self.meter, self.meter.tester
        assert tester is not None, "without a tester nothing is compared"
        by_id = {each.id: version for each, version in self.versions}
        async with meter.laid_out(tree) as folder:
            nodeids = self._nodeids()
            if not nodeids:
                nodeids = self._foreseen(
                    await meter.foresight.reaching(folder, [source.path for source in self.sources])
                )
            request = DifferentialRequest(
                folder=folder,
                environment=meter.environment,
                targets=self._targets(),
                nodeids=nodeids[:MOST_TESTS],
                base=by_id.pop(BASE),
                alternatives=by_id,
                budget_s=meter.limits.differential_s,
                timeout_s=PATIENCE * meter.limits.differential_s + START_S,
            )
            return await tester.compare(request)

    def _targets(self) -> dict[str, list[str]]:
        names = {path: set(further) for path, further in self.further.items()}
        for source in self.sources:
            names.setdefault(source.path, set()).update(self._functions(source))
        return {path: sorted(found) for path, found in names.items()}

    def _nodeids(self) -> list[str]:
        """Tests that reach the change, as the strength's measurement found; those that show the change first."""
        strength, run = self.bundle.strength, self.bundle.candidate
        found = list(strength.reaching_tests) if strength is not None else []
        return sorted((each for each in found if each in run.passed), key=lambda each: each in self.bundle.base.passed)

    def _foreseen(self, reaches: Callable[[str], bool]) -> list[str]:
        base, run = self.bundle.base, self.bundle.candidate
        took_s = {record.nodeid: record.duration_s for record in run.records}
        found = [nodeid for nodeid in run.passed if reaches(file_of(nodeid))]
        return sorted(found, key=lambda nodeid: (nodeid in base.passed, took_s[nodeid], nodeid))

    def _functions(self, source: ChangedSource) -> set[str]:
        """The functions of a file in which any version differs from the candidate."""
        strength = self.bundle.strength
        names = changed_functions(source)
        if strength is not None:
            names |= {_entry(source.new, each.line) for each in strength.survivors if each.path == source.path}
        if strength is not None and source.old is not None:
            names |= {_entry(source.old, each.line) for each in strength.rivals if each.path == source.path}
        return names or {""}


def alternatives_of(
    candidate: Candidate,
    sources: Sequence[ChangedSource],
    bundle: EvidenceBundle,
    owns: Callable[[str], bool],
    *,
    all_of_them: bool = False,
) -> list[tuple[Alternative, Version]]:
    """The base and every version that the tests do not tell from the candidate."""
    before = {
        change.path: change.old for change in candidate.changes if not owns(change.path) and not change.is_symlink
    }
    base = Alternative(id=BASE, kind=BASE, path="", line=0, description="is not there")
    found = [(base, Version(files=before, weight=base.weight))]
    strength = bundle.strength
    if strength is None:
        return found
    old = {source.path: source.old for source in sources}
    new: Mapping[str, Source | None] = {source.path: source.new for source in sources}
    groups = (
        _versions("rival", strength.rivals, old, before),
        _without_pieces(strength.unneeded, sources),
        _versions("mutant", strength.survivors, new, {}),
    )
    for group in groups:
        found += group if all_of_them else group[: MOST[group[0][0].kind]] if group else []
    return found


def _without_pieces(
    trials: Sequence[PieceTrial], sources: Sequence[ChangedSource]
) -> list[tuple[Alternative, Version]]:
    """The candidate without each of these pieces."""
    pieces = {(each.path, piece.lines, piece.text): (each, piece) for each in sources for piece in each.pieces}
    found = []
    for index, trial in enumerate(trials, 1):
        source, piece = pieces.get((trial.path, trial.lines, trial.text), (None, None))
        if source is None or piece is None:
            continue
        content = source.new.encoded(piece.taken_back(source.new.text))
        alternative = Alternative(
            id=f"piece{index}", kind="piece", path=trial.path, line=max(1, trial.lines[0]),
            description=f"leaves out that it {trial.text}",
        )  # fmt: skip
        found.append((alternative, Version(files={trial.path: content}, weight=alternative.weight)))
    return found


def _versions(
    kind: str,
    trials: Sequence[MutantTrial],
    texts: Mapping[str, Source | None],
    files: Mapping[str, bytes | None],
) -> list[tuple[Alternative, Version]]:
    found = []
    for index, trial in enumerate(trials, 1):
        source = texts.get(trial.path)
        if source is None:
            continue
        try:
            content = source.encoded(alternative_source(source.text, trial))
        except (InputError, UnicodeEncodeError):
            continue
        alternative = Alternative(
            id=f"{kind}{index}", kind=kind, path=trial.path, line=trial.line, description=trial.description
        )
        found.append((alternative, Version(files={**files, trial.path: content}, weight=alternative.weight)))
    return found


def changed_functions(source: ChangedSource) -> set[str]:
    """Qualified names of the functions of a file, before and after, that a change touches."""
    names = {_entry(source.new, line) for line in source.lines}
    return names | ({_entry(source.old, line) for line in _old_lines(source)} if source.old is not None else set())


def _old_lines(source: ChangedSource) -> set[int]:
    return {line for piece in source.pieces for line in range(piece.old_lines[0], piece.old_lines[1] + 1)}


def _entry(source: Source, line: int) -> str:
    """The qualified name of the outermost function around a line; empty at module level."""
    names = []
    for scope in source.scopes_at(line):
        names.append(scope.name)
        if isinstance(scope, FunctionNode):
            return ".".join(names)
    return ""
