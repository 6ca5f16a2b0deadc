"""Signing keys: Ed25519 in files that only their owner can read."""

from __future__ import annotations

from councilor.adapters.ed25519.folder import KeyFolder
from councilor.adapters.ed25519.signer import Ed25519Signer

__all__ = ["Ed25519Signer", "KeyFolder"]
