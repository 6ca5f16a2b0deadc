"""The `repair` worker: fault localisation, mutation and validation, with no model and no network."""

from __future__ import annotations

from councilor.adapters.workers.repair.worker import RepairWorker

__all__ = ["RepairWorker"]
