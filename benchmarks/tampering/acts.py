"""What an intruder does to a store; each act changes the holdings in place, with what Hypothesis draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume
from hypothesis import strategies as st

from councilor.adapters.ed25519 import Ed25519Signer
from councilor.domain.artifact import ArtifactInput, ArtifactKind
from councilor.domain.checkpoint import Checkpoint
from councilor.domain.merkle import tree_root
from councilor.domain.provenance import PAYLOAD_TYPE, Envelope, digest, encode_for_signing, hash_inputs
from councilor.domain.publickey import public_key_of_pem
from tampering.holdings import Holdings

__all__ = ["ACTS", "Act", "Draw"]

Draw = Callable[[st.SearchStrategy[Any]], Any]
Act = Callable[[Holdings, Draw], None]

STRANGE_TASK = "01900000-0000-7000-8000-00000000dead"
STRANGER = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(b"a stranger's key, 32 bytes long!"))


def _one(held: Holdings, draw: Draw) -> str:
    assume(held.artifacts)
    return str(draw(st.sampled_from(sorted(held.artifacts))))


def _two(held: Holdings, draw: Draw) -> tuple[str, str]:
    first = _one(held, draw)
    others = sorted(set(held.artifacts) - {first})
    assume(others)
    return first, draw(st.sampled_from(others))


def _flipped(data: bytes, draw: Draw) -> bytes:
    data = data or b"\0"
    place = draw(st.integers(0, len(data) - 1))
    return data[:place] + bytes([data[place] ^ (1 << draw(st.integers(0, 7)))]) + data[place + 1 :]


def _resigned(held: Holdings, artifact_id: str, payload: bytes, keyid: str) -> None:
    """Put a statement in place that only a stranger's key signed."""
    signature = STRANGER.sign(encode_for_signing(payload))
    statement = Envelope(payload=payload, payload_type=PAYLOAD_TYPE, keyid=keyid, signature=signature).dump()
    held.change(artifact_id, statement=statement, keyid=keyid)


# --- bytes


def alter_bytes(held: Holdings, draw: Draw) -> None:
    item = _one(held, draw)
    held.bodies[item] = _flipped(held.bodies[item], draw)


def truncate_bytes(held: Holdings, draw: Draw) -> None:
    item = _one(held, draw)
    assume(held.bodies[item])
    held.bodies[item] = held.bodies[item][: draw(st.integers(0, len(held.bodies[item]) - 1))]


def swap_bytes(held: Holdings, draw: Draw) -> None:
    a, b = _two(held, draw)
    assume(held.bodies[a] != held.bodies[b])
    held.bodies[a], held.bodies[b] = held.bodies[b], held.bodies[a]


def exchange_bytes_with_hash_and_size(held: Holdings, draw: Draw) -> None:
    item = _one(held, draw)
    body = held.bodies[item] + draw(st.binary(min_size=1, max_size=8))
    held.bodies[item] = body
    held.change(item, output_hash=digest(body), size_bytes=len(body))


# --- rows


def alter_a_field(held: Holdings, draw: Draw) -> None:
    item, other = _two(held, draw)
    old = held.artifacts[item]
    values = {
        "run_id": other,
        "attempt": old.attempt + 1,
        "kind": next(kind for kind in ArtifactKind if kind is not old.kind),
        "name": old.name + "/2",
        "parent_id": next(value for value in (other, None, item) if value != old.parent_id),
        "inputs": (*old.inputs, ArtifactInput(artifact_id=other, output_hash="0" * 64, role="evidence")),
        "input_hash": "0" * 64,
        "output_hash": "0" * 64,
        "tree": "0" * 40,
        "media_type": old.media_type + "x",
        "size_bytes": old.size_bytes + 1,
        "created_at": old.created_at - timedelta(seconds=1),
        "keyid": "0" * 64,
        "seq": (old.seq or 0) + 1,
        "metadata": {**old.metadata, "forged": True},
    }
    field = draw(st.sampled_from(sorted(values)))
    held.change(item, **{field: values[field]})


def rewire_inputs(held: Holdings, draw: Draw) -> None:
    item, other = _two(held, draw)
    old = held.artifacts[item].inputs
    source = held.artifacts[other]
    inputs = old[:-1] or (ArtifactInput(artifact_id=other, output_hash=source.output_hash, role="x"),)
    assume(inputs != old)
    held.change(item, inputs=inputs, input_hash=hash_inputs(inputs))


def move_to_another_task(held: Holdings, draw: Draw) -> None:
    item = _one(held, draw)
    others = {each.task_id for each in held.artifacts.values()} - {held.artifacts[item].task_id}
    held.change(item, task_id=draw(st.sampled_from([*sorted(others), STRANGE_TASK])))


def duplicate_a_row(held: Holdings, draw: Draw) -> None:
    item = _one(held, draw)
    twin = item[:-4] + ("ffff" if not item.endswith("ffff") else "fffe")
    held.artifacts[twin], held.bodies[twin] = replace(held.artifacts[item], id=twin), held.bodies[item]


def swap_rows(held: Holdings, draw: Draw) -> None:
    """Two artifacts change places, their statements included."""
    a, b = _two(held, draw)
    old_a, old_b = held.artifacts[a], held.artifacts[b]
    held.artifacts[a], held.artifacts[b] = replace(old_b, id=a), replace(old_a, id=b)
    held.bodies[a], held.bodies[b] = held.bodies[b], held.bodies[a]


# --- statements


def flip_a_statement(held: Holdings, draw: Draw) -> None:
    item = _one(held, draw)
    held.change(item, statement=_flipped(held.artifacts[item].statement, draw))


def truncate_a_statement(held: Holdings, draw: Draw) -> None:
    item = _one(held, draw)
    statement = held.artifacts[item].statement
    assume(statement)
    held.change(item, statement=statement[: draw(st.integers(0, len(statement) - 1))])


def swap_statements(held: Holdings, draw: Draw) -> None:
    a, b = _two(held, draw)
    first, second = held.artifacts[a].statement, held.artifacts[b].statement
    held.change(a, statement=second)
    held.change(b, statement=first)


def sign_with_a_stranger_s_key(held: Holdings, draw: Draw) -> None:
    """Other bytes with a statement that fits them, under the stranger's key id or the true one."""
    item = _one(held, draw)
    old = held.artifacts[item]
    body = held.bodies[item] + b"\n"
    try:
        payload = Envelope.load(old.statement).payload.replace(old.output_hash.encode(), digest(body).encode())
    except Exception:
        assume(False)
        raise
    held.bodies[item] = body
    held.change(item, output_hash=digest(body), size_bytes=len(body))
    _resigned(held, item, payload, draw(st.sampled_from([STRANGER.keyid, old.keyid])))
    held.relog(held.entries)


# --- whole rows gone, and the log with them


def delete_a_row(held: Holdings, draw: Draw) -> None:
    held.drop(_one(held, draw))


def delete_a_row_and_its_leaf(held: Holdings, draw: Draw) -> None:
    item = _one(held, draw)
    held.drop(item)
    held.relog([entry for entry in held.entries if entry.artifact_id != item])


def delete_the_newest(held: Holdings, draw: Draw) -> None:
    """The last few artifacts, their leaves and every checkpoint that had them: a shorter log, not a broken one."""
    count = draw(st.integers(1, max(1, len(held.entries) // 2)))
    gone = {entry.artifact_id for entry in held.entries[-count:]} & set(held.artifacts)
    assume(gone)
    for item in gone:
        held.drop(item)
    held.relog(held.entries[:-count])


def delete_a_task(held: Holdings, draw: Draw) -> None:
    task_id = held.artifacts[_one(held, draw)].task_id
    gone = {item.id for item in held.artifacts.values() if item.task_id == task_id}
    for item in gone:
        held.drop(item)
    held.relog([entry for entry in held.entries if entry.artifact_id not in gone])


def say_that_bytes_were_erased(held: Holdings, draw: Draw) -> None:
    """The bytes are gone, as if retention had removed them; no statement announces it."""
    item = _one(held, draw)
    held.bodies[item] = b""
    held.erased.add(item)


# --- the log


def reorder_leaves(held: Holdings, draw: Draw) -> None:
    assume(len(held.entries) > 1)
    a, b = draw(st.lists(st.integers(0, len(held.entries) - 1), min_size=2, max_size=2, unique=True))
    entries = list(held.entries)
    entries[a], entries[b] = entries[b], entries[a]
    held.relog(entries)


def truncate_the_log(held: Holdings, draw: Draw) -> None:
    assume(held.entries)
    held.relog(held.entries[: draw(st.integers(0, len(held.entries) - 1))])


def point_a_leaf_elsewhere(held: Holdings, draw: Draw) -> None:
    assume(len(held.entries) > 1)
    place = draw(st.integers(0, len(held.entries) - 1))
    other = held.entries[draw(st.integers(0, len(held.entries) - 1).filter(lambda value: value != place))]
    held.entries[place] = replace(held.entries[place], artifact_id=other.artifact_id)


def forge_the_checkpoint(held: Holdings, draw: Draw) -> None:
    """Alter a leaf's artifact away and sign the tree that results with a stranger's key."""
    delete_a_row_and_its_leaf(held, draw)
    root = tree_root([entry.leaf_hash for entry in held.entries])
    forged = Checkpoint(origin=held.origin, size=len(held.entries), root=root)
    held.checkpoints.append(forged.sign(STRANGER.sign, public_key_of_pem(STRANGER.public_key_pem())))


def rename_the_log(held: Holdings, draw: Draw) -> None:
    held.origin += "x"


ACTS: tuple[Act, ...] = (
    alter_bytes, truncate_bytes, swap_bytes, exchange_bytes_with_hash_and_size, alter_a_field, rewire_inputs,
    move_to_another_task, duplicate_a_row, swap_rows, flip_a_statement, truncate_a_statement, swap_statements,
    sign_with_a_stranger_s_key, delete_a_row, delete_a_row_and_its_leaf, delete_the_newest, delete_a_task,
    say_that_bytes_were_erased, reorder_leaves, truncate_the_log, point_a_leaf_elsewhere, forge_the_checkpoint,
    rename_the_log,
)  # fmt: skip
