"""Merkle trees of the transparency log: roots, proofs and their verification.

Rules:
- A leaf's hash is SHA-256 of `0x00` and its bytes, a node's that of `0x01` and its two children's hashes, so that no
  leaf can pass for a node.
- A store keeps the hash of every leaf (level 0) and the root of every complete subtree of 256^level leaves, nothing
  else. Row `number` of a level is the root of leaves [number * 256^level, (number + 1) * 256^level).
- Proofs and roots are planned before they are computed: a proof is a tuple of spans, each span is the root of some
  leaves, `rows_for` says which rows of the store it needs and `fold` makes its hash of them. One span needs at most 255
  rows of a level; a whole proof at most 511, for its path and the tree's edge are two blocks of rows.
- A verifier never raises, whatever it is given: what is no proof is False.

An inclusion proof does not by itself show the tree's size: where the path to the leaf has the same shape, other sizes
verify alike. So size and root must come from one signed checkpoint.

Source: RFC 6962, section 2.1; RFC 9162, sections 2.1.1 to 2.1.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from councilor.errors import InputError

__all__ = [
    "EMPTY_ROOT",
    "HASH_BYTES",
    "LARGEST_SIZE",
    "ROWS_PER_BLOCK",
    "Rows",
    "RunningTree",
    "Span",
    "Subtree",
    "completed",
    "consistency_spans",
    "fold",
    "inclusion_spans",
    "leaf_hash",
    "node_hash",
    "root_spans",
    "rows_for",
    "rows_to_complete",
    "tree_root",
    "verify_consistency",
    "verify_inclusion",
]

HASH_BYTES = 32
EMPTY_ROOT = sha256().digest()
"""The root of a tree without leaves."""

BITS_PER_LEVEL = 8
ROWS_PER_BLOCK = 1 << BITS_PER_LEVEL
"""Rows of one level that make one row of the next."""
LARGEST_SIZE = 2**63 - 1


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf, 32 bytes."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node with two children, 32 bytes."""
    return sha256(b"\x01" + left + right).digest()


def tree_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root of a tree with these leaves, in this order."""
    tree = RunningTree()
    for leaf in leaf_hashes:
        tree.append(leaf)
    return tree.root()


class RunningTree:
    """A tree that grows leaf by leaf and keeps only what its root needs: one hash for each bit of its size."""

    def __init__(self) -> None:
        self.size = 0
        self._stack: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Add the hash of the next leaf."""
        self._stack.append(leaf)
        index = self.size
        while index & 1:  # as many complete pairs end here as the index has trailing ones
            right = self._stack.pop()
            self._stack.append(node_hash(self._stack.pop(), right))
            index >>= 1
        self.size += 1

    def root(self) -> bytes:
        """The root of the leaves so far, 32 bytes."""
        return _joined(self._stack)


@dataclass(frozen=True, order=True, slots=True)
class Span:
    """The leaves [start, stop) of a tree, where they hang below one node of it.

    Raises:
        InputError: no tree has a node over exactly these leaves.
    """

    start: int
    stop: int

    def __post_init__(self) -> None:
        is_node = 0 <= self.start <= self.stop <= LARGEST_SIZE
        if not is_node or self.start % (1 << max(self.stop - self.start - 1, 0).bit_length()):
            raise InputError(f"No node of a tree is over the leaves {self.start} to {self.stop}.", field="span")


@dataclass(frozen=True, order=True, slots=True)
class Rows:
    """Consecutive rows of one level of the store: numbers [first, first + count)."""

    level: int
    first: int
    count: int


@dataclass(frozen=True, order=True, slots=True)
class Subtree:
    """One row of the store above the leaves."""

    level: int
    """1 or more."""
    number: int
    root: bytes


def root_spans(size: int) -> tuple[Span, ...]:
    """The one span whose hash is the root of the tree of that size."""
    return (Span(0, size),)


def inclusion_spans(index: int, size: int) -> tuple[Span, ...]:
    """The spans whose hashes, in this order, prove that leaf `index` is in the tree of that size.

    Raises:
        InputError: the tree has no such leaf.
    """
    if not 0 <= index < size <= LARGEST_SIZE:
        raise InputError(f"A tree of {size} leaves has no leaf {index}.", field="index")
    spans, start, stop = [], 0, size
    while stop - start > 1:
        middle = start + _left_size(stop - start)
        if index < middle:
            spans.append(Span(middle, stop))
            stop = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    return tuple(reversed(spans))


def consistency_spans(old_size: int, new_size: int) -> tuple[Span, ...]:
    """The spans whose hashes, in this order, prove that the larger tree begins with the smaller one.

    Empty where nothing is to be proved: the smaller tree is empty, or the sizes are equal.

    Raises:
        InputError: the old tree is not the smaller one.
    """
    if not 0 <= old_size <= new_size <= LARGEST_SIZE:
        raise InputError(f"A tree of {old_size} leaves is no beginning of one of {new_size}.", field="old_size")
    if old_size == 0:
        return ()
    spans, start, stop = [], 0, new_size
    while stop != old_size:
        middle = start + _left_size(stop - start)
        if old_size <= middle:
            spans.append(Span(middle, stop))
            stop = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    if start > 0:  # otherwise it is the old tree's own root, which the verifier has
        spans.append(Span(start, stop))
    return tuple(reversed(spans))


def rows_for(span: Span) -> tuple[Rows, ...]:
    """The rows of the store that make a span's hash: one `Rows` of at most 255 for each level, highest level first."""
    merged: dict[int, Rows] = {}
    for part in _parts(span):
        before = merged.get(part.level)
        # The parts of one level follow each other, so they are one read.
        merged[part.level] = Rows(part.level, before.first, before.count + part.count) if before else part
    return tuple(merged.values())


def fold(span: Span, rows: Mapping[Rows, Sequence[bytes]]) -> bytes:
    """A span's hash, of the hashes read for it: a sequence of `count` for each of `rows_for(span)`; others are ignored.

    Raises:
        InputError: a row is missing, or there are more than were asked for.
    """
    waiting: dict[int, Iterator[bytes]] = {}
    for wanted in rows_for(span):
        found = rows.get(wanted, ())
        if len(found) != wanted.count:
            raise InputError(f"{len(found)} of {wanted.count} rows of level {wanted.level} were read.", field="rows")
        waiting[wanted.level] = iter(found)
    return _joined([tree_root([next(waiting[part.level]) for _ in range(part.count)]) for part in _parts(span)])


def rows_to_complete(size: int, count: int) -> tuple[Rows, ...]:
    """The rows that must be read to append `count` leaves to a tree of that size: at most 255 of each level."""
    rows = []
    for level in range(_height(size + count)):
        have, done = size >> BITS_PER_LEVEL * level, (size + count) >> BITS_PER_LEVEL * level
        begun = have % ROWS_PER_BLOCK
        if begun and have // ROWS_PER_BLOCK < done // ROWS_PER_BLOCK:
            rows.append(Rows(level, have - begun, begun))
    return tuple(rows)


def completed(size: int, leaves: Sequence[bytes], rows: Mapping[Rows, Sequence[bytes]]) -> tuple[Subtree, ...]:
    """The rows above the leaves that come to exist by appending leaves to a tree of `size`, lower levels first.

    Args:
        leaves: the hashes of the new leaves.
        rows: what was read for `rows_to_complete(size, len(leaves))`.

    Raises:
        InputError: a row is missing.
    """
    begun = {wanted.level: rows.get(wanted, ()) for wanted in rows_to_complete(size, len(leaves))}
    for wanted in rows_to_complete(size, len(leaves)):
        if len(begun[wanted.level]) != wanted.count:
            raise InputError(f"Rows of level {wanted.level} are missing.", field="rows")
    subtrees: list[Subtree] = []
    fresh: Sequence[bytes] = leaves
    for level in range(_height(size + len(leaves))):
        number = (size >> BITS_PER_LEVEL * level) // ROWS_PER_BLOCK
        hashes = [*begun.get(level, ()), *fresh]
        blocks = range(0, len(hashes) - ROWS_PER_BLOCK + 1, ROWS_PER_BLOCK)
        fresh = [tree_root(hashes[block : block + ROWS_PER_BLOCK]) for block in blocks]
        subtrees += [Subtree(level + 1, number + offset, root) for offset, root in enumerate(fresh)]
    return tuple(subtrees)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows that the leaf with hash `leaf` is number `index` of the tree with this size and root.

    Source: RFC 9162, section 2.1.3.2.
    """
    if not (_are_sizes(index, size) and _are_hashes(proof) and _are_hashes([leaf, root]) and index < size):
        return False
    node, last, hash_ = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            hash_ = node_hash(sibling, hash_)
            node, last = _risen(node, last)
        else:
            hash_ = node_hash(hash_, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and hash_ == root


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree with the new size and root begins with the one of the old size and root.

    Source: RFC 9162, section 2.1.4.2.
    """
    if not (_are_sizes(old_size, new_size) and _are_hashes(proof) and _are_hashes([old_root, new_root])):
        return False
    if old_size > new_size or (new_size == 0 and new_root != EMPTY_ROOT):
        return False
    if old_size in {0, new_size}:
        return not proof and old_root == (EMPTY_ROOT if old_size == 0 else new_root)
    path = list(proof) if old_size & (old_size - 1) else [old_root, *proof]
    if not path:
        return False
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_hash = new_hash = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old_hash, new_hash = node_hash(sibling, old_hash), node_hash(sibling, new_hash)
            node, last = _risen(node, last)
        else:
            new_hash = node_hash(new_hash, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old_hash == old_root and new_hash == new_root


def _risen(node: int, last: int) -> tuple[int, int]:
    """Up from a node at the right edge, past the levels at which it has no sibling."""
    while node and not node & 1:
        node, last = node >> 1, last >> 1
    return node, last


def _are_sizes(*numbers: object) -> bool:
    return all(type(number) is int and 0 <= number <= LARGEST_SIZE for number in numbers)


def _are_hashes(hashes: object) -> bool:
    if not isinstance(hashes, list | tuple) or len(hashes) > 2 * LARGEST_SIZE.bit_length():
        return False
    return all(isinstance(item, bytes) and len(item) == HASH_BYTES for item in hashes)


def _left_size(size: int) -> int:
    """The largest power of two smaller than `size`, which is 2 or more."""
    return 1 << (size - 1).bit_length() - 1


def _height(size: int) -> int:
    """The number of levels above the leaves that a tree of this size has rows of."""
    return (size.bit_length() - 1) // BITS_PER_LEVEL if size else 0


def _parts(span: Span) -> Iterator[Rows]:
    """A span's perfect subtrees, left to right, which is larger to smaller; each as the fewest rows that make it."""
    start = span.start
    while start < span.stop:
        bits = (span.stop - start).bit_length() - 1
        level, rest = divmod(bits, BITS_PER_LEVEL)
        yield Rows(level, start >> BITS_PER_LEVEL * level, 1 << rest)
        start += 1 << bits


def _joined(roots: Sequence[bytes]) -> bytes:
    """The root over perfect subtrees, of which each is larger than the next."""
    if not roots:
        return EMPTY_ROOT
    *others, root = roots
    for left in reversed(others):
        root = node_hash(left, root)
    return root
