"""What every artifact store does; the memory store is the oracle for the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.postgres.artifacts import CHUNK_BYTES, DatabaseArtifactStorage
from councilor.adapters.postgres.pool import Pool
from councilor.domain.artifact import ArtifactInput, ArtifactKind, ExecutionArtifact
from councilor.errors import CouncilorError, HashMismatchError, InputError, NotFoundError
from councilor.ports.artifacts import ArtifactStorage

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
TASK = str(UUID(int=7))


def artifact(number: int, body: bytes, **changes: object) -> ExecutionArtifact:
    made = ExecutionArtifact(
        id=str(UUID(int=1000 + number)),
        task_id=TASK,
        run_id="run-1",
        attempt=1,
        kind=ArtifactKind.REPORT,
        name=f"report-{number}",
        parent_id=None,
        inputs=(),
        input_hash=sha256(b"[]").hexdigest(),
        output_hash=sha256(body).hexdigest(),
        tree=None,
        media_type="text/plain",
        size_bytes=len(body),
        created_at=START + timedelta(seconds=number),
        statement=b"\x00\xffstatement",
        keyid=sha256(b"key").hexdigest(),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[ArtifactStorage]:
    if request.param == "memory":
        yield MemoryArtifactStorage()
    else:
        async with Pool(request.getfixturevalue("emptied_database_url")) as pool:
            yield DatabaseArtifactStorage(pool)


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 5])
async def test_what_was_put_comes_back(store: ArtifactStorage, size: int) -> None:
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
    await store.put(spec, b"spec")
    assert await store.put(given_, body) == given_.id
    assert await store.get(given_.id) == given_
    assert await store.read(given_.id) == body
    assert await store.of_task(TASK) == [spec, given_]


async def test_inputs_keep_their_order(store: ArtifactStorage) -> None:
    parents = [artifact(number, b"x%d" % number) for number in range(5)]
    for number, parent in enumerate(parents):
        await store.put(parent, b"x%d" % number)
    edges = [ArtifactInput(artifact_id=p.id, output_hash=p.output_hash, role="r") for p in reversed(parents)]
    edges.append(replace(edges[0], role="again"))
    child = artifact(9, b"child", inputs=tuple(edges))
    await store.put(child, b"child")
    assert await store.get(child.id) == child


async def test_putting_the_same_again_changes_nothing(store: ArtifactStorage) -> None:
    first = artifact(1, b"body")
    for _ in range(3):
        assert await store.put(first, b"body") == first.id
    assert await store.of_task(TASK) == [first]


async def test_a_taken_id_is_refused_and_the_first_artifact_stays(store: ArtifactStorage) -> None:
    first = artifact(1, b"body")
    await store.put(first, b"body")
    for other, body in [(replace(first, name="other"), b"body"), (artifact(1, b"elsewhere"), b"elsewhere")]:
        with pytest.raises(InputError, match="taken"):
            await store.put(other, body)
    assert (await store.get(first.id), await store.read(first.id)) == (first, b"body")


@pytest.mark.parametrize("wrong", [b"other", b"", b"bodY"])
async def test_bytes_that_are_not_what_the_hash_says_are_refused(store: ArtifactStorage, wrong: bytes) -> None:
    with pytest.raises(HashMismatchError):
        await store.put(artifact(1, b"body"), wrong)
    assert await store.get(artifact(1, b"body").id) is None


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
    ],
    ids=lambda changes: "-".join(changes),
)
async def test_what_a_store_cannot_keep_is_bad_input(store: ArtifactStorage, changes: dict[str, object]) -> None:
    with pytest.raises(InputError) as caught:
        await store.put(artifact(1, b"body", **changes), b"body")
    assert caught.value.field
    assert await store.of_task(TASK) == []


async def test_an_input_must_have_the_hash_it_is_cited_with(store: ArtifactStorage) -> None:
    parent = artifact(1, b"parent")
    await store.put(parent, b"parent")
    cited = ArtifactInput(artifact_id=parent.id, output_hash=sha256(b"other").hexdigest(), role="r")
    with pytest.raises(InputError, match="unknown"):
        await store.put(artifact(2, b"child", inputs=(cited,)), b"child")


async def test_an_input_is_cited_once_in_a_role(store: ArtifactStorage) -> None:
    parent = artifact(1, b"parent")
    await store.put(parent, b"parent")
    cited = ArtifactInput(artifact_id=parent.id, output_hash=parent.output_hash, role="r")
    with pytest.raises(InputError, match="twice"):
        await store.put(artifact(2, b"child", inputs=(cited, cited)), b"child")


@pytest.mark.parametrize("unknown", [str(UUID(int=1)), "", "x\0y", "\ud800", "' OR true --"])
async def test_the_unknown_is_not_found(store: ArtifactStorage, unknown: str) -> None:
    assert await store.get(unknown) is None
    assert list(await store.latest_for_task(unknown)) == []
    assert list(await store.of_task(unknown)) == []
    with pytest.raises(NotFoundError):
        await store.read(unknown)


async def test_the_latest_of_each_name_comes_newest_first(store: ArtifactStorage) -> None:
    made = [artifact(number, b"same", name="ab"[number % 2]) for number in range(6)]
    tie = artifact(7, b"same", name="b", created_at=made[-1].created_at)  # the same moment: the larger id is newer
    elsewhere = artifact(8, b"same", task_id=str(UUID(int=8)))
    for item in (*reversed(made), tie, elsewhere):
        await store.put(item, b"same")
    assert list(await store.latest_for_task(TASK)) == [tie, made[4]]
    assert list(await store.of_task(TASK)) == [*made, tie]


async def test_what_is_about_a_tree_is_found_by_name_newest_first_whatever_its_task(store: ArtifactStorage) -> None:
    tree, other = "a" * 40, "b" * 40
    kept = [
        artifact(1, b"one", name="tests/base", tree=tree),
        artifact(2, b"two", name="tests/base", tree=tree, task_id=str(UUID(int=8))),
        artifact(3, b"three", name="tests/base", tree=other),
        artifact(4, b"four", name="patch/1", tree=tree),
        artifact(5, b"five", name="tests/base"),
    ]
    for item, body in zip(kept, (b"one", b"two", b"three", b"four", b"five"), strict=True):
        await store.put(item, body)
    assert list(await store.about_tree(tree, "tests/base", limit=9)) == [kept[1], kept[0]]
    assert list(await store.about_tree(tree, "tests/base", limit=1)) == [kept[1]]
    assert list(await store.about_tree("c" * 40, "tests/base", limit=9)) == []


async def test_concurrent_writers_of_one_artifact_agree(store: ArtifactStorage) -> None:
    body = b"z" * (CHUNK_BYTES + 10)
    items = [artifact(1, body), artifact(1, body), artifact(2, body), artifact(3, body)]
    await asyncio.gather(*(store.put(item, body) for item in items))
    assert await store.of_task(TASK) == items[1:]
    assert await store.read(items[3].id) == body


# --- only the database --------------------------------------------------------------------------------------------


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)  # type: ignore[call-overload]
        return list(cursor.fetchall()) if cursor.description else []


async def test_the_same_bytes_are_stored_once_and_a_refused_put_leaves_none(emptied_database_url: str) -> None:
    body = b"y" * (2 * CHUNK_BYTES)
    async with Pool(emptied_database_url) as pool:
        store = DatabaseArtifactStorage(pool)
        await asyncio.gather(*(store.put(artifact(number, body), body) for number in range(4)))
        with pytest.raises(InputError):
            await store.put(artifact(1, b"other"), b"other")
    assert execute(emptied_database_url, "SELECT count(*), sum(size) FROM artifact_blobs") == [(1, len(body))]
    assert execute(emptied_database_url, "SELECT count(*) FROM artifact_chunks") == [(2,)]


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE artifact_blobs SET inline_body = 'altered' WHERE inline_body IS NOT NULL",
        "UPDATE artifact_chunks SET body = set_byte(body, 5, 1) WHERE seq = 1",
        "DELETE FROM artifact_chunks WHERE seq = 1",
        "UPDATE artifact_chunks SET seq = 1 - seq + 10",
        "INSERT INTO artifact_chunks SELECT sha256, 9, body FROM artifact_chunks WHERE seq = 0",
    ],
)
async def test_altered_bytes_are_noticed_at_the_next_read(emptied_database_url: str, tamper: str) -> None:
    small, large = b"small", b"".join(bytes([65 + part]) * CHUNK_BYTES for part in range(2))
    async with Pool(emptied_database_url) as pool:
        store = DatabaseArtifactStorage(pool)
        await store.put(artifact(1, small), small)
        await store.put(artifact(2, large), large)
        execute(emptied_database_url, tamper)
        results = await asyncio.gather(
            store.read(artifact(1, small).id), store.read(artifact(2, large).id), return_exceptions=True
        )
    assert sum(isinstance(result, HashMismatchError) for result in results) == 1


@pytest.mark.parametrize("table", ["execution_artifacts", "artifact_inputs"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET parent_id = NULL", "TRUNCATE {} CASCADE"])
async def test_the_database_refuses_changes_of_what_is_recorded(
    emptied_database_url: str, table: str, change: str
) -> None:
    async with Pool(emptied_database_url) as pool:
        store = DatabaseArtifactStorage(pool)
        parent = artifact(1, b"parent")
        edge = ArtifactInput(artifact_id=parent.id, output_hash=parent.output_hash, role="r")
        child = artifact(2, b"child", parent_id=parent.id, inputs=(edge,))
        await store.put(parent, b"parent")
        await store.put(child, b"child")
        with pytest.raises(psycopg.errors.RestrictViolation, match="immutable"):
            execute(emptied_database_url, change.format(table))
        assert await store.of_task(TASK) == [parent, child]


async def test_referenced_bytes_cannot_be_deleted(emptied_database_url: str) -> None:
    async with Pool(emptied_database_url) as pool:
        await DatabaseArtifactStorage(pool).put(artifact(1, b"body"), b"body")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        execute(emptied_database_url, "DELETE FROM artifact_blobs")


async def test_putting_condemned_bytes_again_keeps_them(emptied_database_url: str) -> None:
    async with Pool(emptied_database_url) as pool:
        store = DatabaseArtifactStorage(pool)
        await store.put(artifact(1, b"body"), b"body")
        execute(emptied_database_url, "UPDATE artifact_blobs SET condemned_at = now()")
        await store.put(artifact(2, b"body"), b"body")
    assert execute(emptied_database_url, "SELECT condemned_at FROM artifact_blobs") == [(None,)]


NAMES = st.text(max_size=5) | st.sampled_from(["log", "report", "a\0", "\ud800"])
PUTS = st.tuples(
    st.integers(0, 5),  # id
    st.binary(max_size=40) | st.sampled_from([b"same", b"q" * (CHUNK_BYTES + 3)]),
    NAMES,
    st.none() | st.integers(0, 5),  # parent
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["a", "b"])), max_size=2),
    st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(puts=st.lists(PUTS, min_size=1, max_size=8))
def test_the_database_does_what_the_memory_store_does(emptied_database_url: str, puts: list[tuple]) -> None:  # type: ignore[type-arg]
    """Every example has its own ids, because examples share the database."""
    base = uuid4()

    def id_(number: int) -> str:
        return str(UUID(int=base.int & ~0xFF | number))

    async def compare() -> None:
        oracle = MemoryArtifactStorage()
        async with Pool(emptied_database_url, max_connections=1) as pool:
            store = DatabaseArtifactStorage(pool)
            for number, body, name, parent, edges, moment in puts:
                cited = [(await oracle.get(id_(other)), role) for other, role in edges]
                inputs = tuple(
                    ArtifactInput(
                        artifact_id=id_(other), output_hash=(known or artifact(0, b"")).output_hash, role=role
                    )
                    for (other, role), (known, _) in zip(edges, cited, strict=True)
                )
                item = artifact(
                    0, body, id=id_(number), task_id=id_(255), name=name, created_at=moment, inputs=inputs,
                    parent_id=None if parent is None else id_(parent),
                )  # fmt: skip
                assert await _outcome(store, item, body) == await _outcome(oracle, item, body)
            assert list(await store.of_task(id_(255))) == list(await oracle.of_task(id_(255)))
            assert list(await store.latest_for_task(id_(255))) == list(await oracle.latest_for_task(id_(255)))
            for item in await oracle.of_task(id_(255)):
                assert await store.get(item.id) == item
                assert await store.read(item.id) == await oracle.read(item.id)

    asyncio.run(compare())


async def _outcome(store: ArtifactStorage, item: ExecutionArtifact, body: bytes) -> object:
    try:
        return await store.put(item, body)
    except CouncilorError as error:
        return type(error), error.message
