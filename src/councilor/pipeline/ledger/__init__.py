"""The ledger: records artifacts with signed statements, verifies what was recorded, exports it, and lets bytes go."""

from __future__ import annotations

from councilor.pipeline.ledger.approval import record_approval
from councilor.pipeline.ledger.export import ExportSource, export_task
from councilor.pipeline.ledger.finding import Finding, Verification
from councilor.pipeline.ledger.override import record_override
from councilor.pipeline.ledger.pruning import PrunedEvents, prune_events
from councilor.pipeline.ledger.record import Ledger, TaskLedger
from councilor.pipeline.ledger.retention import Collected, Collector
from councilor.pipeline.ledger.trace import Trace, trace
from councilor.pipeline.ledger.verification import verified_body, verify_record, verify_task
from councilor.pipeline.ledger.wholeness import WholeVerification, missing_leaves, task_ids, verify_all
from councilor.pipeline.ledger.witness import LogWitness

__all__ = [
    "Collected",
    "Collector",
    "ExportSource",
    "Finding",
    "Ledger",
    "LogWitness",
    "PrunedEvents",
    "TaskLedger",
    "Trace",
    "Verification",
    "WholeVerification",
    "export_task",
    "missing_leaves",
    "prune_events",
    "record_approval",
    "record_override",
    "task_ids",
    "trace",
    "verified_body",
    "verify_all",
    "verify_record",
    "verify_task",
]
