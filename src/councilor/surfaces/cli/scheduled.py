"""`schedule add`: what a person names becomes a schedule, everything in it checked.

Rules:
- A spec of the repository, named by its id or its path, is read anew at each due time from the branch's tip; so it has
  to be committed on that branch. One from outside of the repository is kept as it is now.
- The base is a branch, and its tip is looked up at each due time; a tag or a commit would never move.
- Workers, budgets and limits are those of the options and the settings now.
- A task is drafted as at a due time and thrown away: what cannot be submitted is said now, and not in the night.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from councilor.domain.cron import require_cron
from councilor.domain.document import SIZE_LIMIT_BYTES
from councilor.domain.schedule import CATCH_UP_S, Overlap, Schedule, require_schedule
from councilor.domain.spec import ID_PATTERN, load_spec
from councilor.domain.task import RunMode
from councilor.errors import InputError, NotFoundError
from councilor.pipeline.rules import find_spec, read_spec_at
from councilor.pipeline.scheduling import draft_scheduled
from councilor.ports.clock import Clock, Ids
from councilor.ports.repository import Repositories, Repository
from councilor.surfaces.cli.allotment import Allotment, remarks_on
from councilor.surfaces.cli.moments import parse_length
from councilor.surfaces.cli.specfiles import SpecFile, read_spec_file

__all__ = ["Wish", "make_schedule"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What the options of `schedule add` say."""

    spec: str
    cron: str
    name: str | None
    repo: Path | None
    base: str | None
    allotment: Allotment
    mode: RunMode
    priority: int
    overlap: Overlap
    catch_up: str | None


async def make_schedule(
    wish: Wish, repositories: Repositories, *, clock: Clock, ids: Ids, remark: Callable[[str], None]
) -> Schedule:
    """The schedule that a person wishes for; nothing is stored yet.

    Args:
        remark: told what may surprise.

    Raises:
        InputError: something is not as it should be, or no task could be submitted; names the option.
        NotFoundError: there is no such spec.
    """
    cron = require_cron(wish.cron)
    repository = await repositories.open(_folder(wish))
    base_ref = await _branch(wish.base, repository)
    base = await repository.resolve(base_ref)
    path, text = await _spec(wish.spec, repository, base.tree, base_ref, remark)
    spec = load_spec(text, source=path or wish.spec)
    schedule = Schedule(
        id=ids.new(),
        name=wish.name or spec.id,
        cron=cron,
        repository=str(repository.root),
        base_ref=base_ref,
        spec_path=path,
        spec_text=text,
        spec_id=spec.id,
        tier=spec.risk_tier,
        worker=wish.allotment.worker,
        crew=wish.allotment.crew,
        candidates=wish.allotment.candidates,
        mode=wish.mode,
        max_iterations=wish.allotment.max_iterations,
        deadline_s=wish.allotment.deadline_s,
        flags=wish.allotment.flags,
        max_tokens=wish.allotment.max_tokens,
        max_cost_usd=wish.allotment.max_cost_usd,
        priority=wish.priority,
        overlap=wish.overlap,
        catch_up_s=CATCH_UP_S if wish.catch_up is None else parse_length(wish.catch_up, field="--catch-up"),
    )
    require_schedule(schedule)
    for said in remarks_on(await draft_scheduled(schedule, ids.new(), repositories, clock=clock)):
        remark(said)
    return schedule


def _folder(wish: Wish) -> Path:
    """A folder of the repository: the option's, else the spec's own, else this one."""
    if wish.repo is not None or ID_PATTERN.fullmatch(wish.spec):
        return wish.repo or Path()
    parent = Path(wish.spec).resolve().parent
    return parent if parent.is_dir() else Path()


async def _branch(base: str | None, repository: Repository) -> str:
    found = await repository.branch(base or "HEAD")
    if found is None:
        await repository.resolve(base or "HEAD")
        raise InputError(
            f"{base or 'HEAD'} is no branch, and a schedule follows one.",
            field="--base",
            hint="Name the branch whose newest commit each task is to start from, such as --base main.",
        )
    return found


async def _spec(
    what: str, repository: Repository, tree: str, base_ref: str, remark: Callable[[str], None]
) -> tuple[str | None, str]:
    """Path in the tree, if it is of the repository, and text of the spec."""
    if ID_PATTERN.fullmatch(what):
        return await find_spec(repository, tree, what)
    file = Path(what).resolve()
    if not file.is_relative_to(repository.root.resolve()):
        return None, _outside(what)
    path = file.relative_to(repository.root.resolve()).as_posix()
    try:
        text = await read_spec_at(repository, tree, path)
    except NotFoundError as error:
        raise NotFoundError(
            f"{path} is not committed on {base_ref.removeprefix('refs/heads/')}, from where a schedule reads it.",
            hint="Commit it there, or copy it to a place outside of the repository and name that.",
        ) from error
    if file.is_file() and _beginning(file) != text.encode()[:SIZE_LIMIT_BYTES]:
        remark(
            f"{path} has changes that are not committed on {base_ref.removeprefix('refs/heads/')}; they do not count."
        )
    return path, text


def _beginning(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(SIZE_LIMIT_BYTES)


def _outside(what: str) -> str:
    if not Path(what).exists():
        raise NotFoundError(
            f"There is no spec {what}.", hint="Name the id of a committed spec, or the path of a YAML file."
        )
    found = read_spec_file(Path(what), within=None)
    if isinstance(found, SpecFile):
        return found.text
    raise InputError(found[0].message, field="SPEC", rule=found[0].rule, hint=found[0].hint)
