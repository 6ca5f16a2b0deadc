"""Bundles: an envelope in the form that sigstore's verifiers read.

Rules:
- A bundle of media type v0.3 holds the DSSE envelope and, as a hint, the keyid of the key that verifies it. It holds no
  key: who verifies brings the public key that the keyid names.
- It holds no log entries: those of the format are sigstore's own log's. Councilor's log is checked by its checkpoints.
- Only the very bytes that `dump_bundle` gives are read back.

Source: sigstore protobuf-specs 0.3.2, `sigstore_bundle.proto`, in the JSON form of protocol buffers.
"""

from __future__ import annotations

import json
from typing import Any

import rfc8785

from councilor.domain.provenance import Envelope
from councilor.errors import BrokenChainError

__all__ = ["BUNDLE_TYPE", "dump_bundle", "load_bundle"]

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def dump_bundle(envelope: Envelope) -> bytes:
    """The bundle of an envelope, as canonical JSON."""
    bundle: Any = {
        "mediaType": BUNDLE_TYPE,
        "verificationMaterial": {"publicKey": {"hint": envelope.keyid}, "tlogEntries": []},
        "dsseEnvelope": json.loads(envelope.dump()),
    }
    return rfc8785.dumps(bundle)


def load_bundle(data: bytes) -> Envelope:
    """The envelope in a bundle; its exact bytes are `Envelope.dump` of it.

    Raises:
        BrokenChainError: it is no bundle as `dump_bundle` gives it, or its hint is another key than the envelope's.
    """
    try:
        bundle: Any = json.loads(data)
        envelope = Envelope.load(rfc8785.dumps(bundle["dsseEnvelope"]))
        canonical = dump_bundle(envelope)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BrokenChainError(f"It is no sigstore bundle with a DSSE envelope: {error}") from error
    if canonical != data:
        raise BrokenChainError("The bundle is not written as councilor writes it; it was altered.")
    return envelope
