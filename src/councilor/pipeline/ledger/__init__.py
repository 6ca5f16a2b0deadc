"""The ledger: records artifacts with signed statements, and verifies what was recorded."""

from __future__ import annotations

from councilor.pipeline.ledger.record import Ledger, TaskLedger
from councilor.pipeline.ledger.verification import Finding, Verification, verify_task

__all__ = ["Finding", "Ledger", "TaskLedger", "Verification", "verify_task"]
