"""The ledger: records artifacts with signed statements, verifies what was recorded, exports it, and lets bytes go."""

from __future__ import annotations

from councilor.pipeline.ledger.export import export_task
from councilor.pipeline.ledger.record import Ledger, TaskLedger
from councilor.pipeline.ledger.retention import Collected, Collector
from councilor.pipeline.ledger.verification import Finding, Verification, verified_body, verify_task

__all__ = [
    "Collected",
    "Collector",
    "Finding",
    "Ledger",
    "TaskLedger",
    "Verification",
    "export_task",
    "verified_body",
    "verify_task",
]
