"""Merkle roots and proofs: compared with the recursive definition, and no wrong proof verifies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from councilor.domain.merkle import (
    EMPTY_ROOT,
    Rows,
    Span,
    completed,
    consistency_spans,
    fold,
    inclusion_spans,
    leaf_hash,
    node_hash,
    root_spans,
    rows_for,
    rows_to_complete,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from councilor.errors import InputError

LARGEST = 3000
LEAVES = [leaf_hash(b"leaf %d" % number) for number in range(LARGEST)]
# The eight leaves of the tests of Certificate Transparency, and the root after each.
KNOWN_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
KNOWN_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


class Oracle:
    """RFC 6962, section 2.1, word for word."""

    @staticmethod
    @cache
    def root(start: int, stop: int) -> bytes:
        if stop - start < 2:
            return LEAVES[start] if stop > start else sha256().digest()
        middle = start + split(stop - start)
        return sha256(b"\x01" + Oracle.root(start, middle) + Oracle.root(middle, stop)).digest()

    @staticmethod
    def path(index: int, start: int, stop: int) -> list[bytes]:
        if stop - start == 1:
            return []
        middle = start + split(stop - start)
        if index < middle:
            return [*Oracle.path(index, start, middle), Oracle.root(middle, stop)]
        return [*Oracle.path(index, middle, stop), Oracle.root(start, middle)]

    @staticmethod
    def proof(old: int, start: int, stop: int, is_whole: bool = True) -> list[bytes]:
        if stop == old:
            return [] if is_whole else [Oracle.root(start, stop)]
        middle = start + split(stop - start)
        if old <= middle:
            return [*Oracle.proof(old, start, middle, is_whole), Oracle.root(middle, stop)]
        return [*Oracle.proof(old, middle, stop, False), Oracle.root(start, middle)]


def split(size: int) -> int:
    power = 1
    while power * 2 < size:
        power *= 2
    return power


class Store:
    """Keeps what a store keeps, and refuses every row that it does not."""

    def __init__(self) -> None:
        self.levels: dict[int, list[bytes]] = {0: []}
        self.most_read = 0

    @property
    def size(self) -> int:
        return len(self.levels[0])

    def append(self, leaves: Sequence[bytes]) -> None:
        needed = rows_to_complete(self.size, len(leaves))
        for subtree in completed(self.size, leaves, {rows: self.read(rows) for rows in needed}):
            level = self.levels.setdefault(subtree.level, [])
            assert len(level) == subtree.number
            level.append(subtree.root)
        self.levels[0] += leaves

    def read(self, rows: Rows) -> list[bytes]:
        found = self.levels[rows.level][rows.first : rows.first + rows.count]
        assert len(found) == rows.count
        self.most_read = max(self.most_read, rows.count)
        return found

    def hashes(self, spans: Sequence[Span]) -> list[bytes]:
        return [fold(span, {rows: self.read(rows) for rows in rows_for(span)}) for span in spans]


@pytest.fixture(scope="module")
def store() -> Store:
    full = Store()
    full.append(LEAVES)
    return full


sizes = st.integers(1, LARGEST)
pairs = st.tuples(st.integers(0, LARGEST), st.integers(0, LARGEST)).map(lambda pair: tuple(sorted(pair)))


def test_hashes_are_those_of_the_rfc():
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in KNOWN_LEAVES]
    assert [tree_root(leaves[: size + 1]).hex() for size in range(8)] == KNOWN_ROOTS
    assert tree_root([]).hex() == EMPTY_ROOT.hex() == sha256(b"").hexdigest()
    assert leaf_hash(b"x") == sha256(b"\x00x").digest()
    assert node_hash(b"l", b"r") == sha256(b"\x01lr").digest()


def test_a_known_proof_verifies():
    """Leaf 5 of the eight, and that eight begin with six, from the tests of Certificate Transparency."""
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in KNOWN_LEAVES]
    path = [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    proof = [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    roots = [bytes.fromhex(root) for root in KNOWN_ROOTS]
    assert verify_inclusion(leaves[5], 5, 8, [bytes.fromhex(item) for item in path], roots[7])
    assert verify_consistency(6, roots[5], 8, roots[7], [bytes.fromhex(item) for item in proof])


@given(st.integers(0, LARGEST))
def test_roots_are_those_of_the_definition(store: Store, size: int):
    assert tree_root(LEAVES[:size]) == Oracle.root(0, size)
    assert store.hashes(root_spans(size)) == [Oracle.root(0, size)]


@given(sizes, st.data())
def test_inclusion_proofs_are_those_of_the_definition_and_verify(store: Store, size: int, data: st.DataObject):
    index = data.draw(st.integers(0, size - 1))
    proof = store.hashes(inclusion_spans(index, size))
    assert proof == Oracle.path(index, 0, size)
    assert verify_inclusion(LEAVES[index], index, size, proof, Oracle.root(0, size))


@given(pairs)
def test_consistency_proofs_are_those_of_the_definition_and_verify(store: Store, pair: tuple[int, int]):
    old, new = pair
    proof = store.hashes(consistency_spans(old, new))
    assert proof == (Oracle.proof(old, 0, new) if old else [])
    assert verify_consistency(old, Oracle.root(0, old), new, Oracle.root(0, new), proof)


def test_every_proof_of_small_trees_is_that_of_the_definition(store: Store):
    for size in range(1, 20):
        root = Oracle.root(0, size)
        for index in range(size):
            proof = store.hashes(inclusion_spans(index, size))
            assert proof == Oracle.path(index, 0, size)
            # The proof of one leaf shows that leaf only, and only where it is.
            shown = [
                (at, n) for at in range(size) for n in range(size) if verify_inclusion(LEAVES[n], at, size, proof, root)
            ]
            assert shown == [(index, index)]
        for old in range(1, size + 1):
            proof = store.hashes(consistency_spans(old, size))
            assert proof == Oracle.proof(old, 0, size)
            starts = [at for at in range(1, size + 1) if verify_consistency(at, Oracle.root(0, at), size, root, proof)]
            assert old in starts
            assert starts == [old] or not proof


@given(st.lists(st.integers(0, 700), min_size=1, max_size=6))
@settings(max_examples=40)
def test_appending_in_any_batches_keeps_the_same_rows(store: Store, batches: list[int]):
    grown = Store()
    for count in batches:
        grown.append(LEAVES[grown.size : grown.size + count])
    size = grown.size
    kept = {level: rows[: size >> 8 * level] for level, rows in store.levels.items() if level == 0 or size >> 8 * level}
    assert grown.levels == kept
    assert grown.most_read <= 255


def test_rows_above_two_levels_are_the_roots_of_their_leaves():
    """65,536 leaves and a few: one row of level 2, in batches that cross the border."""
    leaves = [leaf_hash(b"%d" % number) for number in range(65_536 + 700)]
    store = Store()
    for start, stop in ((0, 65_000), (65_000, 65_535), (65_535, 65_537), (65_537, len(leaves))):
        store.append(leaves[start:stop])
    assert [len(store.levels[level]) for level in (0, 1, 2)] == [len(leaves), 258, 1]
    assert store.levels[2] == [tree_root(leaves[:65_536])]
    assert store.levels[1][257] == tree_root(leaves[65_792:66_048])
    root = tree_root(leaves)
    assert store.hashes(root_spans(len(leaves))) == [root]
    for index in (0, 255, 256, 65_535, 65_536, len(leaves) - 1):
        assert verify_inclusion(
            leaves[index], index, len(leaves), store.hashes(inclusion_spans(index, len(leaves))), root
        )
    for old in (1, 65_535, 65_536, 65_537, 66_000):
        proof = store.hashes(consistency_spans(old, len(leaves)))
        assert verify_consistency(old, tree_root(leaves[:old]), len(leaves), root, proof)


@given(st.integers(1, 2**62), st.data())
def test_a_proof_of_any_size_reads_few_rows(size: int, data: st.DataObject):
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    for spans in (root_spans(size), inclusion_spans(index, size), consistency_spans(old, size)):
        reads = [rows for span in spans for rows in rows_for(span)]
        for level in {rows.level for rows in reads}:
            assert sum(rows.count for rows in reads if rows.level == level) <= 511
        for span in spans:
            levels = [rows.level for rows in rows_for(span)]
            assert len(set(levels)) == len(levels)
        for rows in reads:
            assert 1 <= rows.count <= 255
            assert rows.first + rows.count <= size >> 8 * rows.level


def test_what_is_read_is_checked_before_it_is_used(store: Store):
    (span,) = root_spans(5)
    with pytest.raises(InputError, match="4 of 5 rows of level 0"):
        fold(span, {Rows(0, 0, 5): LEAVES[:4]})
    with pytest.raises(InputError, match="0 of 5 rows"):
        fold(span, {})
    with pytest.raises(InputError, match="missing"):
        completed(255, LEAVES[255:256], {})


@pytest.mark.parametrize("bounds", [(1, 3), (-1, 0), (2, 1), (4, 12), (0, 2**63)])
def test_a_span_is_below_one_node(bounds: tuple[int, int]):
    with pytest.raises(InputError):
        Span(*bounds)


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0), (0, 2**63)])
def test_a_proof_of_what_is_not_there_is_refused(index: int, size: int):
    with pytest.raises(InputError):
        inclusion_spans(index, size)


@pytest.mark.parametrize(("old", "new"), [(-1, 3), (4, 3), (0, 2**63)])
def test_a_larger_tree_is_no_beginning_of_a_smaller_one(old: int, new: int):
    with pytest.raises(InputError):
        consistency_spans(old, new)


@st.composite
def tampered(draw: st.DrawFn, proof: list[bytes]) -> list[bytes]:
    """A proof that differs from `proof`."""
    ways = ["add"] if not proof else ["flip", "drop", "add", "repeat"] + ["swap"] * (len(set(proof)) > 1)
    at, other = draw(st.integers(0, max(len(proof) - 1, 0))), draw(st.binary(min_size=32, max_size=32))
    match draw(st.sampled_from(ways)):
        case "flip":
            item = bytearray(proof[at])
            item[draw(st.integers(0, 31))] ^= 1 << draw(st.integers(0, 7))
            return [*proof[:at], bytes(item), *proof[at + 1 :]]
        case "drop":
            return [*proof[:at], *proof[at + 1 :]]
        case "repeat":
            return [*proof[:at], proof[at], *proof[at:]]
        case "swap":
            mixed = draw(st.permutations(proof).filter(lambda found: found != proof))
            return list(mixed)
        case _:
            return draw(st.sampled_from([[*proof, other], [other, *proof]]))


@given(sizes, st.data())
def test_no_altered_inclusion_proof_verifies(store: Store, size: int, data: st.DataObject):
    index = data.draw(st.integers(0, size - 1))
    proof, root = store.hashes(inclusion_spans(index, size)), Oracle.root(0, size)
    assert not verify_inclusion(LEAVES[index], index, size, data.draw(tampered(proof)), root)
    other = data.draw(st.integers(0, LARGEST - 1).filter(lambda number: number != index))
    assert not verify_inclusion(LEAVES[index], other, size, proof, root)
    assert not verify_inclusion(LEAVES[other], index, size, proof, root)
    elsewhere = data.draw(sizes.filter(lambda number: number != size))
    assert not verify_inclusion(LEAVES[index], index, elsewhere, proof, Oracle.root(0, elsewhere))
    # A node's hash is no leaf: the prefix byte keeps them apart, and the depth must be right.
    assert not verify_inclusion(root, 0, size, [], root) or size == 1


@given(pairs.filter(lambda pair: pair[0] > 0), st.data())
def test_no_altered_consistency_proof_verifies(store: Store, pair: tuple[int, int], data: st.DataObject):
    old, new = pair
    proof = store.hashes(consistency_spans(old, new))
    roots = Oracle.root(0, old), Oracle.root(0, new)
    assert not verify_consistency(old, roots[0], new, roots[1], data.draw(tampered(proof)))
    other = data.draw(sizes.filter(lambda number: number not in pair))
    assert not verify_consistency(other, Oracle.root(0, other), new, roots[1], proof)
    assert not verify_consistency(old, roots[0], other, Oracle.root(0, other), proof)
    assert not verify_consistency(old, Oracle.root(0, other), new, roots[1], proof)
    assert not verify_consistency(old, roots[0], new, Oracle.root(0, other), proof)
    if old != new:
        assert not verify_consistency(new, roots[1], old, roots[0], proof)


def test_empty_trees_are_consistent_with_everything_and_nothing_else_is():
    root = Oracle.root(0, 3)
    assert verify_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    assert verify_consistency(0, EMPTY_ROOT, 3, root, [])
    assert not verify_consistency(0, root, 3, root, [])
    assert not verify_consistency(0, EMPTY_ROOT, 3, root, [root])
    assert not verify_consistency(0, root, 0, root, [])
    assert not verify_consistency(3, root, 3, root, [root])
    assert not verify_consistency(1, LEAVES[0], 3, root, [])
    assert not verify_consistency(3, root, 5, Oracle.root(0, 5), [])


junk = st.one_of(
    st.none(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.booleans(),
    st.text(max_size=32),
    st.binary(max_size=40),
    st.lists(st.one_of(st.binary(min_size=30, max_size=33), st.none(), st.integers(), st.text()), max_size=4),
    st.just([b"x" * 32] * 10_000),
)


@given(junk, junk, junk, junk, junk)
@settings(max_examples=60)
def test_a_verifier_is_not_upset_by_anything(one, two, three, four, five):
    assert verify_inclusion(one, two, three, four, five) is False
    assert verify_consistency(one, two, three, four, five) is False


@pytest.mark.parametrize("index", [True, 0.0, "0", None, -1, 2**64])
def test_an_index_is_a_number_in_range(index: object):
    root = tree_root(LEAVES[:2])
    assert verify_inclusion(LEAVES[0], 0, 2, [LEAVES[1]], root)
    assert not verify_inclusion(LEAVES[0], index, 2, [LEAVES[1]], root)
    assert not verify_inclusion(LEAVES[0], 0, 2, [bytearray(LEAVES[1])], root)
