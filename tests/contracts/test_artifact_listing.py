"""Finding artifacts: filters, pages, cursors, parts of ids."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from uuid import UUID

import pytest
from storing import OTHER_TASK, START, TASK, artifact

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.listing import ArtifactFilter, write_cursor
from councilor.errors import InputError
from councilor.ports.artifacts import ArtifactStorage


async def walk(store: ArtifactStorage, wanted: ArtifactFilter | None = None, *, limit: int) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = await store.list(wanted, cursor=cursor, limit=limit)
        assert len(page.items) <= limit
        found += [item.id for item in page.items]
        if (cursor := page.cursor) is None:
            return found
        assert len(page.items) == limit


@pytest.fixture
async def stored(artifacts: ArtifactStorage) -> list[ExecutionArtifact]:
    """Twelve artifacts, no two alike in every field that can be asked for."""
    made = [
        artifact(
            number,
            b"x",
            kind=[ArtifactKind.REPORT, ArtifactKind.VERDICT, ArtifactKind.LINT][number % 3],
            name=["log", "Bericht/ü%_"][number % 2],
            tree=[None, "a" * 40][number // 6],
            task_id=[TASK, OTHER_TASK][number // 3 % 2],
        )
        for number in range(12)
    ]
    for item in made:
        await artifacts.put(item, b"x")
    return made


FILTERS = [
    ArtifactFilter(),
    ArtifactFilter(task_id=TASK),
    ArtifactFilter(task_id=str(UUID(int=9))),
    ArtifactFilter(kind=ArtifactKind.VERDICT),
    ArtifactFilter(kind=ArtifactKind.SPEC),
    ArtifactFilter(name="Bericht/ü%_"),
    ArtifactFilter(name="%"),
    ArtifactFilter(tree="a" * 40),
    ArtifactFilter(since=START + timedelta(seconds=3)),
    ArtifactFilter(until=START + timedelta(seconds=3)),
    ArtifactFilter(since=START + timedelta(seconds=2), until=START + timedelta(seconds=9)),
    ArtifactFilter(since=START + timedelta(seconds=2, microseconds=1)),
    ArtifactFilter(task_id=OTHER_TASK, kind=ArtifactKind.REPORT, name="log", tree="a" * 40),
    ArtifactFilter(task_id=TASK, since=START + timedelta(seconds=1), name="log"),
]


async def test_every_filter_gives_what_matches_newest_first(
    artifacts: ArtifactStorage, stored: list[ExecutionArtifact]
) -> None:
    for wanted in FILTERS:
        matching = [item for item in reversed(stored) if wanted.matches(item)]
        assert list((await artifacts.list(wanted)).items) == matching, wanted
        for limit in (1, 2, 5, 1000):
            assert await walk(artifacts, wanted, limit=limit) == [item.id for item in matching], (wanted, limit)
    assert len({tuple(item.id for item in stored if wanted.matches(item)) for wanted in FILTERS}) >= 10


async def test_the_last_page_has_no_cursor(artifacts: ArtifactStorage, stored: list[ExecutionArtifact]) -> None:
    assert (await artifacts.list(limit=12)).cursor is None
    assert (await artifacts.list(limit=11)).cursor is not None
    empty = await artifacts.list(ArtifactFilter(kind=ArtifactKind.WAIVER))
    assert (list(empty.items), empty.cursor) == ([], None)


async def test_a_walk_meets_each_artifact_once_while_others_are_stored(
    artifacts: ArtifactStorage, stored: list[ExecutionArtifact]
) -> None:
    """What is stored meanwhile is newer than where the walk is, or an old id that came late: met once or not at all."""
    found: list[str] = []
    cursor = None
    for number in itertools.count(100):
        page = await artifacts.list(cursor=cursor, limit=2)
        found += [item.id for item in page.items]
        if (cursor := page.cursor) is None:
            break
        await artifacts.put(artifact(number, b"x"), b"x")
        await artifacts.put(artifact(-number, b"x"), b"x")
    assert len(found) == len(set(found)) and found == sorted(found, reverse=True)
    assert {item.id for item in stored} <= set(found)


async def test_walkers_and_writers_at_once(artifacts: ArtifactStorage, stored: list[ExecutionArtifact]) -> None:
    async def write(first: int) -> None:
        for number in range(first, first + 10):
            await artifacts.put(artifact(number, b"x", name=f"n{number}"), b"x")

    walks = [walk(artifacts, limit=limit) for limit in (1, 3, 7)]
    *found, _, _ = await asyncio.gather(*walks, write(100), write(200))
    for ids in found:
        assert ids is not None and len(ids) == len(set(ids)) and {item.id for item in stored} <= set(ids)


async def test_a_cursor_of_another_query_is_refused(
    artifacts: ArtifactStorage, stored: list[ExecutionArtifact]
) -> None:
    cursors = {}
    for wanted in FILTERS:
        page = await artifacts.list(wanted, limit=1)
        if page.cursor is not None:
            cursors[wanted] = page.cursor
    for mine, theirs in itertools.permutations(cursors, 2):
        with pytest.raises(InputError, match="another query") as caught:
            await artifacts.list(mine, cursor=cursors[theirs])
        assert caught.value.field == "cursor" and caught.value.hint()


def encoded(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


GOOD = write_cursor(ArtifactFilter(), str(UUID(int=5)))
GARBAGE = {
    "empty": "",
    "a word": "cursor",
    "an id": str(UUID(int=5)),
    "no base64": "%%%",
    "no ASCII": "ü" * 8,
    "a lone surrogate": "\ud800",
    "NUL": "\0",
    "no JSON": encoded("{"),
    "a number": encoded(5),
    "null": encoded(None),
    "a list": encoded(["after", "filter"]),
    "a text": encoded('"after"'),
    "a field too few": encoded({"after": str(UUID(int=5))}),
    "an id that is none": encoded({"after": "' OR true --", "filter": "x"}),
    "a number for an id": encoded({"after": 5, "filter": "x"}),
    "deep nesting": encoded("[" * 50_000),
    "a huge number": encoded("9" * 5000),
    "cut": GOOD[:-5],
    "doubled": GOOD * 2,
    "with a blank": GOOD + " ",
    "with a line break": GOOD + "\n",
}


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_is_no_cursor(artifacts: ArtifactStorage, garbage: str) -> None:
    with pytest.raises(InputError) as caught:
        await artifacts.list(cursor=GARBAGE[garbage])
    assert caught.value.field == "cursor"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"task_id": "T-1"}, "task_id"),
        ({"task_id": ""}, "task_id"),
        ({"name": ""}, "name"),
        ({"name": "x\0"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"tree": "x" * 256}, "tree"),
        ({"since": datetime(2026, 1, 1)}, "since"),  # noqa: DTZ001
        ({"until": START.astimezone(timezone(timedelta(hours=1)))}, "until"),
    ],
)
async def test_a_filter_that_nothing_can_match_is_bad_input(
    artifacts: ArtifactStorage, changes: dict[str, object], field: str
) -> None:
    with pytest.raises(InputError) as caught:
        await artifacts.list(replace(ArtifactFilter(), **changes))  # type: ignore[arg-type]
    assert caught.value.field == field


@pytest.mark.parametrize("limit", [0, -1, 1001, 2**40])
async def test_a_page_has_its_limits(artifacts: ArtifactStorage, limit: int) -> None:
    with pytest.raises(InputError) as caught:
        await artifacts.list(limit=limit)
    assert caught.value.field == "limit"


# --- parts of ids ----------------------------------------------------------------------------------------------------


async def test_an_id_is_found_by_its_beginning_or_its_end(artifacts: ArtifactStorage) -> None:
    ids = [
        "01900000-0000-7000-8000-00000000abcd",
        "01900000-0000-7000-8000-00000000abce",
        "01911111-0000-7000-8000-00000190abcd",
    ]
    for number, id_ in enumerate(ids):
        await artifacts.put(artifact(number, b"x", id=id_), b"x")
    assert list(await artifacts.find("0190")) == [ids[1], ids[0]]
    assert list(await artifacts.find("abcd")) == [ids[2], ids[0]]
    assert list(await artifacts.find("0191")) == [ids[2]]
    assert list(await artifacts.find(ids[1])) == [ids[1]]
    assert list(await artifacts.find("ffff")) == []


async def test_at_most_ten_are_found_the_newest(artifacts: ArtifactStorage) -> None:
    for number in range(12):
        await artifacts.put(artifact(number, b"x"), b"x")
    assert list(await artifacts.find("00000000-")) == [artifact(number, b"").id for number in range(11, 1, -1)]


@pytest.mark.parametrize(
    "fragment", ["", "abc", "ABCD", "%%%%", "____", "0190%", "'; --", "\0\0\0\0", "\ud800" * 4, "0" * 37]
)
async def test_what_is_no_part_of_an_id_finds_nothing(artifacts: ArtifactStorage, fragment: str) -> None:
    await artifacts.put(artifact(1, b"x"), b"x")
    assert list(await artifacts.find(fragment)) == []
