"""What every artifact store does; the memory store is the oracle for the others."""

from __future__ import annotations

import asyncio
import json
import math
import os
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storing import OTHER_TASK, START, TASK, artifact

from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.pool import Pool
from councilor.domain.artifact import ArtifactInput, ArtifactVersion
from councilor.domain.metadata import canonical_metadata
from councilor.errors import HashMismatchError, InputError, NotFoundError, PlaceTakenError
from councilor.guards.bodies import CHUNK_BYTES, checked_chunks
from councilor.ports.artifacts import ArtifactStorage


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 5])
async def test_what_was_put_comes_back(artifacts: ArtifactStorage, size: int) -> None:
    body = bytes(range(251)) * (size // 251 + 1)
    body = body[:size]
    spec = artifact(1, b"spec", tree="a" * 40)
    given_ = artifact(
        2,
        body,
        parent_id=spec.id,
        name="Bericht ü 報告 \U0001f600'\"%s\\",
        inputs=(ArtifactInput(artifact_id=spec.id, output_hash=spec.output_hash, role="spec"),) * 1,
    )
    await artifacts.put(spec, b"spec")
    assert await artifacts.put(given_, body) == given_.id
    assert await artifacts.get(given_.id) == given_
    assert await artifacts.read(given_.id) == body
    assert await artifacts.of_task(TASK) == [spec, given_]


async def test_inputs_keep_their_order(artifacts: ArtifactStorage) -> None:
    parents = [artifact(number, b"x%d" % number) for number in range(5)]
    for number, parent in enumerate(parents):
        await artifacts.put(parent, b"x%d" % number)
    edges = [ArtifactInput(artifact_id=p.id, output_hash=p.output_hash, role="r") for p in reversed(parents)]
    edges.append(replace(edges[0], role="again"))
    child = artifact(9, b"child", inputs=tuple(edges))
    await artifacts.put(child, b"child")
    assert await artifacts.get(child.id) == child


async def test_putting_the_same_again_changes_nothing(artifacts: ArtifactStorage) -> None:
    first = artifact(1, b"body")
    for _ in range(3):
        assert await artifacts.put(first, b"body") == first.id
    assert await artifacts.of_task(TASK) == [first]


async def test_a_taken_id_is_refused_and_the_first_artifact_stays(artifacts: ArtifactStorage) -> None:
    first = artifact(1, b"body")
    await artifacts.put(first, b"body")
    for other, body in [(replace(first, name="other"), b"body"), (artifact(1, b"elsewhere"), b"elsewhere")]:
        with pytest.raises(InputError, match="taken"):
            await artifacts.put(other, body)
    assert (await artifacts.get(first.id), await artifacts.read(first.id)) == (first, b"body")


@pytest.mark.parametrize("wrong", [b"other", b"", b"bodY"])
async def test_bytes_that_are_not_what_the_hash_says_are_refused(artifacts: ArtifactStorage, wrong: bytes) -> None:
    with pytest.raises(HashMismatchError):
        await artifacts.put(artifact(1, b"body"), wrong)
    assert await artifacts.get(artifact(1, b"body").id) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "a\0b"},
        {"name": "\udc80"},
        {"name": ""},
        {"name": "x" * 256},
        {"media_type": "\0"},
        {"run_id": "\ud800"},
        {"tree": "\0"},
        {"id": "not-an-id"},
        {"id": str(UUID(int=10**38)).upper()},
        {"task_id": "T-1"},
        {"parent_id": str(UUID(int=5))},
        {"parent_id": "nobody"},
        {"input_hash": "abc"},
        {"keyid": "\0" * 64},
        {"attempt": 2**31},
        {"attempt": -1},
        {"created_at": datetime(2026, 1, 1)},  # noqa: DTZ001
        {"created_at": START.astimezone(timezone(timedelta(hours=2)))},
        {"statement": b"x" * (2**20 + 1)},
        {"inputs": (ArtifactInput(artifact_id=str(UUID(int=5)), output_hash="0" * 64, role="r"),)},
        {"inputs": (ArtifactInput(artifact_id=str(UUID(int=1001)), output_hash="0" * 64, role="self"),)},
        {"inputs": (ArtifactInput(artifact_id=str(UUID(int=5)), output_hash="0" * 64, role="\0"),)},
        {"seq": 0},
        {"seq": 2**31},
        {"size_bytes": -1},
        {"size_bytes": 2**40 + 1},
    ],
    ids=lambda changes: "-".join(changes),
)
async def test_what_a_store_cannot_keep_is_bad_input(artifacts: ArtifactStorage, changes: dict[str, object]) -> None:
    with pytest.raises(InputError) as caught:
        await artifacts.put(artifact(1, b"body", **changes), b"body")
    assert caught.value.field
    assert await artifacts.of_task(TASK) == []


async def test_an_input_must_have_the_hash_it_is_cited_with(artifacts: ArtifactStorage) -> None:
    parent = artifact(1, b"parent")
    await artifacts.put(parent, b"parent")
    cited = ArtifactInput(artifact_id=parent.id, output_hash=sha256(b"other").hexdigest(), role="r")
    with pytest.raises(InputError, match="unknown"):
        await artifacts.put(artifact(2, b"child", inputs=(cited,)), b"child")


async def test_an_input_is_cited_once_in_a_role(artifacts: ArtifactStorage) -> None:
    parent = artifact(1, b"parent")
    await artifacts.put(parent, b"parent")
    cited = ArtifactInput(artifact_id=parent.id, output_hash=parent.output_hash, role="r")
    with pytest.raises(InputError, match="twice"):
        await artifacts.put(artifact(2, b"child", inputs=(cited, cited)), b"child")


@pytest.mark.parametrize("unknown", [str(UUID(int=1)), "", "x\0y", "\ud800", "' OR true --"])
async def test_the_unknown_is_not_found(artifacts: ArtifactStorage, unknown: str) -> None:
    assert await artifacts.get(unknown) is None
    assert list(await artifacts.latest_for_task(unknown)) == []
    assert list(await artifacts.of_task(unknown)) == []
    assert list(await artifacts.about_tree(unknown, "name", limit=1)) == []
    assert list(await artifacts.about_tree("a" * 40, unknown, limit=1)) == []
    assert list(await artifacts.versions(unknown, "name")) == list(await artifacts.versions(TASK, unknown)) == []
    assert list(await artifacts.find(unknown)) == [] and await artifacts.last_seq(unknown) == 0
    assert not await artifacts.released([unknown]) and not await artifacts.lift(unknown)
    with pytest.raises(NotFoundError):
        await artifacts.read(unknown)
    with pytest.raises(NotFoundError):
        await artifacts.set_alias("alias", unknown)
    with pytest.raises(NotFoundError):
        await artifacts.release([unknown])


async def test_the_latest_of_each_name_comes_newest_first(artifacts: ArtifactStorage) -> None:
    made = [artifact(number, b"same", name="ab"[number % 2]) for number in range(6)]
    tie = artifact(7, b"same", name="b", created_at=made[-1].created_at)  # the same moment: the larger id is newer
    elsewhere = artifact(8, b"same", task_id=str(UUID(int=8)))
    for item in (*reversed(made), tie, elsewhere):
        await artifacts.put(item, b"same")
    assert list(await artifacts.latest_for_task(TASK)) == [tie, made[4]]
    assert list(await artifacts.of_task(TASK)) == [*made, tie]


async def test_what_is_about_a_tree_is_found_by_name_newest_first_whatever_its_task(artifacts: ArtifactStorage) -> None:
    tree, other = "a" * 40, "b" * 40
    kept = [
        artifact(1, b"one", name="tests/base", tree=tree),
        artifact(2, b"two", name="tests/base", tree=tree, task_id=str(UUID(int=8))),
        artifact(3, b"three", name="tests/base", tree=other),
        artifact(4, b"four", name="patch/1", tree=tree),
        artifact(5, b"five", name="tests/base"),
    ]
    for item, body in zip(kept, (b"one", b"two", b"three", b"four", b"five"), strict=True):
        await artifacts.put(item, body)
    assert list(await artifacts.about_tree(tree, "tests/base", limit=9)) == [kept[1], kept[0]]
    assert list(await artifacts.about_tree(tree, "tests/base", limit=1)) == [kept[1]]
    assert list(await artifacts.about_tree("c" * 40, "tests/base", limit=9)) == []


async def test_concurrent_writers_of_one_artifact_agree(artifacts: ArtifactStorage) -> None:
    body = b"z" * (CHUNK_BYTES + 10)
    items = [artifact(1, body), artifact(1, body), artifact(2, body), artifact(3, body)]
    await asyncio.gather(*(artifacts.put(item, body) for item in items))
    assert await artifacts.of_task(TASK) == items[1:]
    assert await artifacts.read(items[3].id) == body


# --- places ----------------------------------------------------------------------------------------------------------


async def test_places_have_no_gaps_and_are_taken_once(artifacts: ArtifactStorage) -> None:
    first, second = artifact(1, b"x", seq=1), artifact(2, b"x", seq=2)
    for wrong in (2, 7):
        with pytest.raises(PlaceTakenError) as caught:
            await artifacts.put(artifact(1, b"x", seq=wrong), b"x")
        assert caught.value.field == "seq" and "which is 1" in caught.value.message
    await artifacts.put(first, b"x")
    await artifacts.put(second, b"x")
    for wrong in (1, 2, 4):
        with pytest.raises(PlaceTakenError, match="which is 3"):
            await artifacts.put(artifact(3, b"x", seq=wrong), b"x")
    assert await artifacts.put(first, b"x") == first.id  # the same again is no second writer
    assert await artifacts.of_task(TASK) == [first, second]
    assert (await artifacts.last_seq(TASK), await artifacts.last_seq(OTHER_TASK)) == (2, 0)


async def test_another_task_has_places_of_its_own_and_none_is_no_place(artifacts: ArtifactStorage) -> None:
    await artifacts.put(artifact(1, b"x", seq=1), b"x")
    await artifacts.put(artifact(2, b"x", seq=1, task_id=OTHER_TASK), b"x")
    await artifacts.put(artifact(3, b"x"), b"x")
    await artifacts.put(artifact(4, b"x", seq=2), b"x")
    assert await artifacts.last_seq(TASK) == 2


async def test_an_unknown_parent_is_said_before_a_taken_place(artifacts: ArtifactStorage) -> None:
    with pytest.raises(InputError, match="parent") as caught:
        await artifacts.put(artifact(1, b"x", seq=5, parent_id=str(UUID(int=5))), b"x")
    assert not isinstance(caught.value, PlaceTakenError)


@pytest.mark.parametrize("size", [3, CHUNK_BYTES + 3])
async def test_of_concurrent_writers_exactly_one_gets_each_place(artifacts: ArtifactStorage, size: int) -> None:
    async def write(writer: int) -> int:
        refused = 0
        for number in range(3):
            body = b"%03d" % writer * (size // 3)
            while True:
                last = await artifacts.last_seq(TASK)
                try:
                    await artifacts.put(artifact(writer * 10 + number, body, name="same", seq=last + 1), body)
                    break
                except PlaceTakenError:
                    refused += 1
        return refused

    await asyncio.gather(*map(write, range(6 if size < CHUNK_BYTES else 3)))
    stored = await artifacts.of_task(TASK)
    assert sorted(item.seq or 0 for item in stored) == list(range(1, len(stored) + 1))
    assert len(stored) == (18 if size < CHUNK_BYTES else 9)
    assert [item.version for item in await artifacts.versions(TASK, "same")] == list(range(1, len(stored) + 1))


# --- metadata --------------------------------------------------------------------------------------------------------

NESTED_8: Any = {"a": 1}
for _ in range(7):
    NESTED_8 = {"a": NESTED_8}


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"a": {"b": math.nan}}, "metadata.a.b"),
        ({"a": [1, -math.inf]}, "metadata.a[1]"),
        ({"a": "\ud800"}, "metadata.a"),
        ({"a\udfff": 1}, "metadata"),
        ({"a": 2**53}, "metadata.a"),
        ({"a": -(2**53)}, "metadata.a"),
        ({"a": float(2**53)}, "metadata.a"),  # would be read back as an integer that no reader may have
        ({"a": 1e20}, "metadata.a"),
        ({"a": {"b": "x\0"}}, "metadata.a.b"),
        ({"a\0": 1}, "metadata"),
        ({1: "a"}, "metadata"),
        ({"a": {None: 1}}, "metadata.a"),
        ({"a": (1, 2)}, "metadata.a"),
        ({"a": {1, 2}}, "metadata.a"),
        ({"a": b"bytes"}, "metadata.a"),
        ({"a": START}, "metadata.a"),
        ({"a": NESTED_8}, "metadata" + ".a" * 9),
        ({"a": "x" * 16_384}, "metadata"),
        ([], "metadata"),
    ],
    ids=repr,
)
async def test_metadata_that_cannot_be_kept_is_named(artifacts: ArtifactStorage, metadata: Any, field: str) -> None:
    with pytest.raises(InputError) as caught:
        await artifacts.put(artifact(1, b"x", metadata=metadata), b"x")
    assert caught.value.field == field
    caught.value.message.encode("utf-8", "surrogatepass")
    assert await artifacts.of_task(TASK) == []


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        NESTED_8,
        {"a": "x" * (16_384 - 8)},
        {"\U0001f600 ü \u2028 </script> '; DROP TABLE x; --": ["%s", "\\", '"', "\x01", "\x7f", "\ufffe"]},
        {"": None, "b": [True, False, [], {}, "", 0, -1, 2**53 - 1, 1 - 2**53, 0.5, -0.0, 1e-7, 5e-324, 1e21, 1e300]},
    ],
    ids=len,
)
async def test_metadata_comes_back_as_it_was_given(artifacts: ArtifactStorage, metadata: dict[str, Any]) -> None:
    await artifacts.put(artifact(1, b"x", metadata=metadata), b"x")
    found = await artifacts.get(artifact(1, b"x").id)
    assert found is not None and found.metadata == metadata
    assert canonical_metadata(found.metadata) == canonical_metadata(metadata)
    assert await artifacts.put(found, b"x") == found.id


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(metadata=st.dictionaries(st.text(max_size=5), JSON, max_size=4))
@settings(max_examples=100, deadline=None)
def test_what_is_kept_as_metadata_has_one_spelling(metadata: dict[str, Any]) -> None:
    try:
        spelled = canonical_metadata(metadata)
    except InputError as error:
        assert error.field is not None and error.field.startswith("metadata")
        return
    assert json.loads(spelled) == metadata
    assert canonical_metadata(json.loads(spelled)) == spelled


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 5, CHUNK_BYTES, 2 * CHUNK_BYTES + 1])
async def test_a_file_is_stored_like_its_bytes(artifacts: ArtifactStorage, tmp_path: Path, size: int) -> None:
    body = os.urandom(size)
    file = tmp_path / "body"
    file.write_bytes(body)
    await artifacts.put(artifact(1, body), file)
    assert await artifacts.read(artifact(1, body).id) == body


@pytest.mark.parametrize("size", [100, 2 * CHUNK_BYTES])
@pytest.mark.parametrize("change", ["grown", "shorter", "other", "empty"])
async def test_a_file_that_changed_meanwhile_is_not_stored(
    artifacts: ArtifactStorage, tmp_path: Path, size: int, change: str
) -> None:
    body = os.urandom(size)
    now = {"grown": body + b"x", "shorter": body[:-1], "other": body[:-1] + bytes([body[-1] ^ 1]), "empty": b""}[change]
    file = tmp_path / "body"
    file.write_bytes(now)
    with pytest.raises(HashMismatchError):
        await artifacts.put(artifact(1, body), file)
    assert await artifacts.of_task(TASK) == []
    assert (await artifacts.stats()).blobs == 0


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "device", "loop"])
async def test_what_is_no_file_is_bad_input(artifacts: ArtifactStorage, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "body"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "device":
        path = Path("/dev/zero")
    with pytest.raises(InputError) as caught:
        await artifacts.put(artifact(1, b"body"), path)
    assert caught.value.field == "body" and str(path) in caught.value.message
    assert await artifacts.of_task(TASK) == []


def test_a_file_that_goes_on_is_given_up_where_it_should_have_ended(tmp_path: Path) -> None:
    file = tmp_path / "sparse"
    with file.open("wb") as stream:
        stream.truncate(2**28)
    for body in (b"", b"body", bytes(CHUNK_BYTES), bytes(CHUNK_BYTES + 1)):
        chunks, given = checked_chunks(artifact(1, body), file), 0
        with pytest.raises(HashMismatchError):
            for chunk in chunks:
                given += len(chunk)
        assert given <= len(body)


# --- versions and aliases --------------------------------------------------------------------------------------------


async def test_versions_count_from_one_in_the_order_of_storing(artifacts: ArtifactStorage) -> None:
    stored = [artifact(number, b"x", name="log") for number in (5, 3, 4)]
    for item in stored:
        await artifacts.put(item, b"x")
    await artifacts.put(artifact(6, b"x", name="other"), b"x")
    await artifacts.put(artifact(7, b"x", name="log", task_id=OTHER_TASK), b"x")
    await artifacts.put(stored[0], b"x")  # again: no new version
    assert list(await artifacts.versions(TASK, "log")) == [
        ArtifactVersion(task_id=TASK, name="log", version=number, artifact_id=item.id)
        for number, item in enumerate(stored, 1)
    ]
    assert [item.version for item in await artifacts.versions(OTHER_TASK, "log")] == [1]


async def test_an_alias_names_one_artifact_until_it_moves_or_goes(artifacts: ArtifactStorage) -> None:
    first, second = artifact(1, b"x"), artifact(2, b"x")
    for item in (first, second):
        await artifacts.put(item, b"x")
    await artifacts.set_alias("releases/1.0", first.id)
    await artifacts.set_alias("Best_one-2", first.id)
    await artifacts.set_alias("releases/1.0", second.id)
    assert dict(await artifacts.aliases()) == {"Best_one-2": first.id, "releases/1.0": second.id}
    assert await artifacts.drop_alias("releases/1.0") and not await artifacts.drop_alias("releases/1.0")
    assert dict(await artifacts.aliases()) == {"Best_one-2": first.id}


@pytest.mark.parametrize(
    "alias", ["", "../etc", "/x", ".", "a b", "a\0", "ü", "\ud800", "x" * 129, "a\n", "-x", "a;b", "a%b"]
)
async def test_what_cannot_be_an_alias_is_refused(artifacts: ArtifactStorage, alias: str) -> None:
    await artifacts.put(artifact(1, b"x"), b"x")
    with pytest.raises(InputError) as caught:
        await artifacts.set_alias(alias, artifact(1, b"x").id)
    assert caught.value.field == "alias" and caught.value.hint()
    with pytest.raises(InputError):
        await artifacts.drop_alias(alias)


async def test_an_alias_of_nothing_is_refused_and_the_old_one_stays(artifacts: ArtifactStorage) -> None:
    await artifacts.put(artifact(1, b"x"), b"x")
    await artifacts.set_alias("a", artifact(1, b"x").id)
    with pytest.raises(NotFoundError):
        await artifacts.set_alias("a", artifact(2, b"x").id)
    assert dict(await artifacts.aliases()) == {"a": artifact(1, b"x").id}


# --- two stores of one database, as two processes are ----------------------------------------------------------------


async def test_writers_of_one_task_in_two_pools_get_every_place_and_version_once(emptied_database_url: str) -> None:
    """Each writes without asking for the place first, so that most puts meet another writer's."""
    async with Pool(emptied_database_url) as one, Pool(emptied_database_url) as two:
        stores = [DatabaseArtifactStorage(one), DatabaseArtifactStorage(two)]
        puts = [stores[n % 2].put(artifact(n, b"%d" % n, name="log"), b"%d" % n) for n in range(40)]
        await asyncio.gather(*puts)
        assert [item.version for item in await stores[0].versions(TASK, "log")] == list(range(1, 41))
        puts = [stores[n % 2].put(artifact(100 + n, b"x", seq=1), b"x") for n in range(20)]
        outcomes = await asyncio.gather(*puts, return_exceptions=True)
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, PlaceTakenError) for outcome in outcomes) == 19
