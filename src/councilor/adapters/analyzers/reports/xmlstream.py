"""Untrusted XML as a stream of starts and ends; nothing in it is ever expanded or fetched.

Rules:
- A DOCTYPE that only names an external subset is read over, and never fetched; one with an internal subset, any entity
  declaration, and any reference to an external entity are refused.
- At most `DEPTH` levels and `ELEMENTS` elements; text is kept up to `TEXT` characters of each element.
- A namespace's prefix is dropped from names.

Source: https://docs.python.org/3/library/pyexpat.html; Morgan & Al Ibrahim 2014, "XML Schema, DTD, and Entity Attacks".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from xml.parsers import expat

__all__ = ["Malformed", "Sink", "stream"]

DEPTH = 64
ELEMENTS = 1_000_000
TEXT = 4_000


class Malformed(ValueError):
    """The bytes are not a report of the expected form."""


class Sink(Protocol):
    """Who receives elements; may raise `Malformed`."""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        ...

    def end(self, tag: str, text: str) -> None:
        """An element ends; `text` is what stood directly in it."""
        ...


def stream(data: bytes, sink: Sink) -> None:
    """Hand every element of an XML document to `sink`.

    Raises:
        Malformed: no well-formed XML, or something in it that is refused.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    texts: list[list[str]] = []
    count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > ELEMENTS:
            raise Malformed(f"it holds more than {ELEMENTS} elements")
        if len(texts) >= DEPTH:
            raise Malformed(f"it is nested more than {DEPTH} levels deep")
        texts.append([])
        sink.start(_local(name), {_local(key): value for key, value in attributes.items()})

    def end(name: str) -> None:
        sink.end(_local(name), "".join(texts.pop())[:TEXT])

    def characters(text: str) -> None:
        if texts and sum(map(len, texts[-1])) < TEXT:
            texts[-1].append(text[:TEXT])

    def doctype(name: str, system: str | None, public: str | None, internal: int) -> None:
        if internal:
            raise Malformed("its DOCTYPE holds declarations")

    def refuse(*_: object) -> int:
        raise Malformed("it declares or refers to an entity")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = doctype
    parser.EntityDeclHandler = refuse
    parser.UnparsedEntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    parser.SkippedEntityHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise Malformed(f"it is no well-formed XML: {error}") from error
    except (LookupError, ValueError) as error:
        raise error if isinstance(error, Malformed) else Malformed(f"its encoding is not known: {error}") from error


def _local(name: str) -> str:
    return name.rpartition(":")[2]
