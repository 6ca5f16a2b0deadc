"""The only wiring: settings -> adapters -> guards -> pipeline.

Rules:
- `open_store` is what is kept (events, artifacts, keys); `open_tools` is what runs things (git, sandbox, environments,
  analysers, workers); `open_service` is both, with the engine and the executor on top.
- One `Runtime` per process holds what all of them share: clock, measurements, guards.
- Every call to a port that leaves this process has a deadline, from `store.DEADLINES_S`, or limits of its own.
"""

from __future__ import annotations

from councilor.app.answering import answer
from councilor.app.audit import audit_export, open_export
from councilor.app.backup import Backup, Progress, back_up
from councilor.app.canary import check_database
from councilor.app.database import database_state, database_url, embedded_server, migrate_database
from councilor.app.dispatching import make_dispatcher
from councilor.app.health import health_monitor, release_id
from councilor.app.judges import try_model_judges
from councilor.app.keys import open_keys
from councilor.app.notices import channels, send_trial, start_logs
from councilor.app.objectives import look_at_objectives, metrics_server
from councilor.app.publishing import open_redelivery
from councilor.app.restore import Restoration, drill, restore
from councilor.app.runtime import Runtime, open_runtime
from councilor.app.service import Service, open_service
from councilor.app.steering import interventions_of, open_interventions
from councilor.app.store import Store, open_store
from councilor.app.tools import Tools, lay_out, open_repositories, open_tools, repository_lock
from councilor.app.workers import look_at_worker, try_worker

__all__ = [
    "Backup",
    "Progress",
    "Restoration",
    "Runtime",
    "Service",
    "Store",
    "Tools",
    "answer",
    "audit_export",
    "back_up",
    "channels",
    "check_database",
    "database_state",
    "database_url",
    "drill",
    "embedded_server",
    "health_monitor",
    "interventions_of",
    "lay_out",
    "look_at_objectives",
    "look_at_worker",
    "make_dispatcher",
    "metrics_server",
    "migrate_database",
    "open_export",
    "open_interventions",
    "open_keys",
    "open_redelivery",
    "open_repositories",
    "open_runtime",
    "open_service",
    "open_store",
    "open_tools",
    "release_id",
    "repository_lock",
    "restore",
    "send_trial",
    "start_logs",
    "try_model_judges",
    "try_worker",
]
