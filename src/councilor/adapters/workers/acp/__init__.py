"""A coding agent that speaks the Agent Client Protocol, as a worker. The SDK is imported when one is run."""

from __future__ import annotations

from councilor.adapters.workers.acp.worker import AcpWorker

__all__ = ["AcpWorker"]
