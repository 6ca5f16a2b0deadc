"""The transparency log: one tree without gaps, whoever sequences it, and nothing signed on top of what was altered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256

import pytest
from storing import OTHER_TASK, START, artifact, execute, intrude, new_signer, signing

from councilor.adapters.ed25519 import Ed25519Signer
from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.memory.log import MemoryTransparencyLog
from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.log import DatabaseTransparencyLog
from councilor.adapters.postgres.pool import Pool
from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.checkpoint import Checkpoint, SignedCheckpoint
from councilor.domain.merkle import Rows, leaf_hash, tree_root, verify_consistency, verify_inclusion
from councilor.domain.publickey import public_key_of_pem
from councilor.errors import InputError, IntegrityError
from councilor.pipeline.ledger.proofs import TreeReader, continues
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.log import TransparencyLog

BODY = b"x"


@dataclass
class Logged:
    """A store with its log and the key that signs it."""

    storage: ArtifactStorage
    log: TransparencyLog
    signer: Ed25519Signer = field(default_factory=new_signer)

    async def put(self, *numbers: int) -> list[ExecutionArtifact]:
        made = [artifact(number, BODY) for number in numbers]
        for item in made:
            await self.storage.put(item, BODY)
        return made

    async def sequence(self, limit: int = 10_000) -> SignedCheckpoint | None:
        return await self.log.sequence(signing(self.signer), now=START, limit=limit)

    def is_signed(self, signed: SignedCheckpoint) -> bool:
        """Whether our key signed it."""
        public_key = public_key_of_pem(self.signer.public_key_pem())

        def verify(text: bytes, signature: bytes, keyid: str) -> bool:
            return self.signer.sign(text) == signature  # Ed25519 signs the same bytes alike each time

        return signed.signer_among({self.signer.keyid: public_key}, verify) == self.signer.keyid


@pytest.fixture(params=["memory", "postgres"])
async def logged(request: pytest.FixtureRequest) -> AsyncIterator[Logged]:
    if request.param == "memory":
        storage = MemoryArtifactStorage()
        yield Logged(storage, MemoryTransparencyLog(storage))
    else:
        async with Pool(request.getfixturevalue("emptied_database_url")) as pool:
            yield Logged(DatabaseArtifactStorage(pool), DatabaseTransparencyLog(pool))


@pytest.fixture
async def database(emptied_database_url: str) -> AsyncIterator[Logged]:
    async with Pool(emptied_database_url) as pool:
        yield Logged(DatabaseArtifactStorage(pool), DatabaseTransparencyLog(pool))


# --- every log -------------------------------------------------------------------------------------------------------


async def test_an_empty_log(logged: Logged) -> None:
    assert await logged.sequence() is None
    state = await logged.log.state()
    assert (state.origin, state.size, state.pending, state.head) == (await logged.log.origin(), 0, 0, None)
    assert list(await logged.log.checkpoints()) == [] and await logged.log.covering(0) is None
    assert list(await logged.log.leaves(start=0, limit=9)) == [] and list(await logged.log.lost()) == []
    assert dict(await logged.log.entries([artifact(1, b"").id])) == {}


async def test_the_origin_stays(logged: Logged) -> None:
    origin = await logged.log.origin()
    assert origin.startswith("councilor/") and await logged.log.origin() == origin
    await logged.put(1)
    signed = await logged.sequence()
    assert signed is not None and signed.checkpoint.origin == origin


async def test_what_waits_becomes_leaves_in_the_order_of_ids(logged: Logged) -> None:
    made = sorted(await logged.put(5, 2, 9), key=lambda item: item.id)
    ids = [item.id for item in made]
    assert set(await logged.log.waiting([*ids, artifact(1, b"").id])) == set(ids)
    assert (await logged.log.state()).pending == 3
    signed = await logged.sequence()
    assert signed is not None and logged.is_signed(signed)
    hashes = [leaf_hash(item.statement) for item in made]
    assert (signed.checkpoint.size, signed.checkpoint.root) == (3, tree_root(hashes))
    assert not await logged.log.waiting(ids)
    entries = await logged.log.entries([*ids, "nobody", artifact(1, b"").id])
    assert {(entries[id_].index, entries[id_].leaf_hash) for id_ in ids} == set(enumerate(hashes)) and len(entries) == 3
    leaves = await logged.log.leaves(start=1, limit=1)
    assert [(leaf.entry.index, leaf.statement, leaf.task_id) for leaf in leaves] == [
        (1, made[1].statement, made[1].task_id)
    ]
    assert list(await logged.log.lost()) == []


async def test_sequencing_nothing_gives_the_head_and_signs_nothing(logged: Logged) -> None:
    await logged.put(1)
    head = await logged.sequence()

    def refuse(checkpoint: Checkpoint) -> SignedCheckpoint:
        raise AssertionError(checkpoint)

    assert await logged.log.sequence(refuse, now=START) == head
    assert (await logged.log.state()).head == head and len(await logged.log.checkpoints()) == 1


async def test_a_limit_is_kept_and_the_next_batch_goes_on(logged: Logged) -> None:
    made = await logged.put(*range(7))
    for size in (3, 6, 7, 7):
        signed = await logged.sequence(limit=3)
        assert signed is not None and signed.checkpoint.size == size
        assert (await logged.log.state()).pending == 7 - size
        assert signed.checkpoint.root == tree_root([leaf_hash(item.statement) for item in made[:size]])
    checkpoints = [
        item.checkpoint.size for item in await logged.log.checkpoints() if isinstance(item, SignedCheckpoint)
    ]
    assert checkpoints == [3, 6, 7]
    assert len(await logged.log.checkpoints(after=3)) == 2 and len(await logged.log.checkpoints(limit=1)) == 1
    covering = [await logged.log.covering(index) for index in (0, 2, 3, 5, 6)]
    assert [signed.checkpoint.size for signed in covering if signed] == [3, 3, 6, 6, 7]
    assert await logged.log.covering(7) is None


@pytest.mark.parametrize("error", [RuntimeError("no key"), IntegrityError("no key"), InputError("no key")])
async def test_a_signer_that_fails_leaves_everything_waiting(logged: Logged, error: Exception) -> None:
    await logged.put(1, 2)
    before = await logged.sequence()
    await logged.put(3, 4)

    def fail(checkpoint: Checkpoint) -> SignedCheckpoint:
        raise error

    with pytest.raises(type(error), match="no key"):
        await logged.log.sequence(fail, now=START)
    state = await logged.log.state()
    assert (state.size, state.pending, state.head) == (2, 2, before)
    after = await logged.sequence()
    assert before is not None and after is not None
    assert after.checkpoint.size == 4 and await continues(logged.log, before.checkpoint, after.checkpoint)


async def test_what_is_stored_again_is_no_second_leaf(logged: Logged) -> None:
    for _ in range(2):
        await logged.put(1)
        await logged.sequence()
    assert (await logged.log.state()).size == 1


async def test_proofs_for_every_leaf_and_between_every_two_checkpoints(logged: Logged) -> None:
    made: list[ExecutionArtifact] = []
    signed: list[Checkpoint] = []
    for count in (1, 2, 3, 5, 8):
        made += await logged.put(*range(len(made), len(made) + count))
        found = await logged.sequence()
        assert found is not None
        signed.append(found.checkpoint)
    reader = TreeReader(logged.log)
    for new in signed:
        for index in range(new.size):
            proof = await reader.inclusion(index, new.size)
            assert verify_inclusion(leaf_hash(made[index].statement), index, new.size, proof.hashes, new.root)
        for old in signed:
            assert await continues(logged.log, old, new) is (old.size <= new.size)
    altered = Checkpoint(origin=signed[0].origin, size=signed[0].size, root=sha256(b"other").digest())
    assert not await continues(logged.log, altered, signed[-1])


# --- the database beside the memory log ------------------------------------------------------------------------------


async def test_more_than_six_hundred_leaves_are_read_as_the_memory_log_reads_them(database: Logged) -> None:
    """Batches that end before, at and after a block of 256 leaves, and one that ends two."""
    storage = MemoryArtifactStorage()
    oracle = Logged(storage, MemoryTransparencyLog(storage, origin=await database.log.origin()), database.signer)
    size = 0
    for batch in (1, 254, 1, 1, 9, 246, 1, 600):
        numbers = range(size, size + batch)
        await oracle.put(*numbers)
        await asyncio.gather(*(database.put(number) for number in numbers))
        size += batch
        assert await database.sequence() == await oracle.sequence()
    assert list(await database.log.checkpoints()) == list(await oracle.log.checkpoints())
    assert list(await database.log.leaves(start=250, limit=20)) == list(await oracle.log.leaves(start=250, limit=20))
    for rows in (
        Rows(0, 0, 256), Rows(0, 255, 2), Rows(0, 1100, 20), Rows(1, 0, 1), Rows(1, 0, 9), Rows(1, 3, 1), Rows(1, 4, 1),
        Rows(2, 0, 1), Rows(0, 5000, 1),
    ):  # fmt: skip
        assert list(await database.log.read(rows)) == list(await oracle.log.read(rows)), rows
    ours, theirs = TreeReader(database.log), TreeReader(oracle.log)
    chance = random.Random(7)
    for _ in range(60):
        new = chance.randrange(1, size + 1)
        old, index = chance.randrange(new + 1), chance.randrange(new)
        assert await ours.inclusion(index, new) == await theirs.inclusion(index, new)
        assert await ours.consistency(old, new) == await theirs.consistency(old, new)
        assert await ours.root(new) == await theirs.root(new)


async def add_many(url: str, count: int) -> list[bytes]:
    """Artifacts in bulk, like the one that is there; their leaf hashes in order."""
    execute(
        url,
        f"""INSERT INTO execution_artifacts (id, task_id, run_id, attempt, kind, name, input_hash, output_hash,
                                             media_type, size_bytes, created_at, statement, keyid)
            SELECT ('10000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, '{OTHER_TASK}', run_id, attempt,
                   kind, name, input_hash, output_hash, media_type, size_bytes, created_at,
                   convert_to(n::text, 'UTF8'), keyid
            FROM execution_artifacts, generate_series(1, {count}) n""",
    )
    execute(
        url, "INSERT INTO log_pending SELECT id FROM execution_artifacts WHERE statement <> '' ON CONFLICT DO NOTHING"
    )
    return [leaf_hash(b"%d" % number) for number in range(1, count + 1)]


@pytest.mark.slow
async def test_more_than_a_block_of_blocks_of_leaves(database: Logged, emptied_database_url: str) -> None:
    """Beyond 65,536 leaves a row of the second level comes to exist; its batch ends in the middle of a block."""
    (first,) = await database.put(0)
    hashes = [leaf_hash(first.statement), *await add_many(emptied_database_url, 66_300)]
    signed: list[Checkpoint] = []
    for limit in (300, 40_000, 25_235, 1, 10_000):  # to one leaf before the block of blocks ends, to its end, beyond
        found = await database.sequence(limit=limit)
        assert found is not None and database.is_signed(found)
        signed.append(found.checkpoint)
    assert [item.size for item in signed] == [300, 40_300, 65_535, 65_536, 66_301]
    assert [item.root for item in signed] == [tree_root(hashes[: item.size]) for item in signed]
    assert execute(emptied_database_url, "SELECT level, count(*) FROM log_subtrees GROUP BY level ORDER BY level") == [
        (1, 258), (2, 1)
    ]  # fmt: skip
    reader = TreeReader(database.log)
    head = signed[-1]
    for index in (0, 299, 300, 65_535, 65_536, 66_300):
        proof = await reader.inclusion(index, head.size)
        assert verify_inclusion(hashes[index], index, head.size, proof.hashes, head.root)
    for old in signed:
        proof_ = await reader.consistency(old.size, head.size)
        assert verify_consistency(old.size, old.root, head.size, head.root, proof_.hashes)


async def test_sequencers_of_several_processes_make_one_tree(emptied_database_url: str) -> None:
    """Writers and sequencers in four pools at once, as in four processes."""
    signer = new_signer()
    pools = [Pool(emptied_database_url, max_connections=3) for _ in range(4)]
    for pool in pools:
        await pool.open()
    try:
        sides = [Logged(DatabaseArtifactStorage(pool), DatabaseTransparencyLog(pool), signer) for pool in pools]
        done = asyncio.Event()

        async def write(side: Logged, first: int) -> None:
            for number in range(first, first + 30):
                await side.put(number)

        async def sequence(side: Logged, limit: int) -> None:
            while not done.is_set():
                await side.sequence(limit)

        async with asyncio.TaskGroup() as group:
            for number, side in enumerate(sides):
                group.create_task(sequence(side, 2 + number))
            await asyncio.gather(*(write(side, 1000 * number) for number, side in enumerate(sides)))
            done.set()
        assert len({await side.log.origin() for side in sides}) == 1
        log, last = sides[0].log, await sides[0].sequence()
        assert last is not None and last.checkpoint.size == 120
        leaves = await log.leaves(start=0, limit=1000)
        assert [leaf.entry.index for leaf in leaves] == list(range(120))
        assert len({leaf.entry.artifact_id for leaf in leaves}) == 120
        hashes = [leaf_hash(leaf.statement or b"") for leaf in leaves]
        assert hashes == [leaf.entry.leaf_hash for leaf in leaves]
        for signed in await log.checkpoints():
            assert isinstance(signed, SignedCheckpoint) and sides[0].is_signed(signed)
            assert signed.checkpoint.root == tree_root(hashes[: signed.checkpoint.size])
            assert await continues(log, signed.checkpoint, last.checkpoint)
    finally:
        for pool in pools:
            await pool.close()


async def test_starters_at_once_agree_on_the_name(emptied_database_url: str) -> None:
    pools = [Pool(emptied_database_url, max_connections=1) for _ in range(6)]
    for pool in pools:
        await pool.open()
    try:
        assert len(set(await asyncio.gather(*(DatabaseTransparencyLog(pool).origin() for pool in pools)))) == 1
    finally:
        for pool in pools:
            await pool.close()


# --- the database: an intruder ---------------------------------------------------------------------------------------

ALTERED = {
    "the newest entry is gone": ["DELETE FROM log_entries WHERE log_index = 259"],
    "the newest entries are gone": ["DELETE FROM log_entries WHERE log_index > 255"],
    "an entry near the end is gone": ["DELETE FROM log_entries WHERE log_index = 257"],
    "all entries are gone": ["DELETE FROM log_entries"],
    "a leaf near the end is another": ["UPDATE log_entries SET leaf_hash = sha256('x') WHERE log_index = 258"],
    "two leaves near the end are swapped": [
        "UPDATE log_entries SET log_index = 999 WHERE log_index = 257",
        "UPDATE log_entries SET log_index = 257 WHERE log_index = 258",
        "UPDATE log_entries SET log_index = 258 WHERE log_index = 999",
    ],
    "an entry more": [
        "INSERT INTO log_entries SELECT 260, leaf_hash, '30000000-0000-7000-8000-000000000000' FROM log_entries LIMIT 1"
    ],
    "a subtree is gone": ["DELETE FROM log_subtrees"],
    "a subtree is another": ["UPDATE log_subtrees SET root = sha256('x')"],
    "the newest checkpoint is gone": ["DELETE FROM log_checkpoints WHERE size = 260"],
    "every checkpoint is gone": ["DELETE FROM log_checkpoints"],
    "the newest checkpoint is damaged": ["UPDATE log_checkpoints SET note = 'x' WHERE size = 260"],
    "the newest checkpoint is an older one": [
        "UPDATE log_checkpoints SET note = (SELECT note FROM log_checkpoints WHERE size = 100) WHERE size = 260"
    ],
}


@pytest.mark.parametrize("altered", ALTERED)
async def test_nothing_is_added_to_a_log_that_was_altered(
    database: Logged, emptied_database_url: str, altered: str
) -> None:
    await database.put(0)
    await add_many(emptied_database_url, 259)
    await database.sequence(limit=100)
    await database.sequence()
    await database.put(5000)
    intrude(emptied_database_url, *ALTERED[altered])
    counts = [f"(SELECT count(*) FROM log_{table})" for table in ("entries", "subtrees", "checkpoints", "pending")]
    everything = f"SELECT {', '.join(counts)}"
    before = execute(emptied_database_url, everything)
    with pytest.raises(IntegrityError) as caught:
        await database.sequence()
    assert caught.value.hint()
    assert execute(emptied_database_url, everything) == before


async def test_a_checkpoint_that_is_none_any_more_is_shown_as_its_bytes(
    database: Logged, emptied_database_url: str
) -> None:
    await database.put(1)
    await database.sequence()
    intrude(emptied_database_url, "UPDATE log_checkpoints SET note = 'damaged'")
    assert list(await database.log.checkpoints()) == [b"damaged"]


async def test_entries_whose_artifact_was_removed_are_lost(database: Logged, emptied_database_url: str) -> None:
    one, two, three = await database.put(1, 2, 3)
    await database.sequence()
    intrude(
        emptied_database_url, f"DELETE FROM execution_artifacts WHERE id IN ('{one.id}', '{three.id}')"
    )  # fmt: skip
    assert [entry.artifact_id for entry in await database.log.lost()] == [one.id, three.id]
    assert [entry.index for entry in await database.log.lost(limit=1)] == [0]
    leaves = await database.log.leaves(start=0, limit=9)
    assert [leaf.statement for leaf in leaves] == [None, two.statement, None]
    assert [leaf.task_id for leaf in leaves] == [None, two.task_id, None]


async def test_what_waits_and_was_removed_goes_on_waiting(database: Logged, emptied_database_url: str) -> None:
    one, two = await database.put(1, 2)
    intrude(emptied_database_url, f"DELETE FROM execution_artifacts WHERE id = '{one.id}'")
    signed = await database.sequence()
    assert signed is not None and signed.checkpoint.size == 1
    assert set(await database.log.waiting([one.id, two.id])) == {one.id}
    assert (await database.log.state()).pending == 1
    assert await database.sequence() == signed


async def test_a_statement_that_was_altered_shows_in_its_leaf(database: Logged, emptied_database_url: str) -> None:
    await database.put(1)
    await database.sequence()
    intrude(emptied_database_url, "UPDATE execution_artifacts SET statement = 'other'")
    (leaf,) = await database.log.leaves(start=0, limit=1)
    assert leaf.statement == b"other" and leaf_hash(leaf.statement) != leaf.entry.leaf_hash
