"""The `llm` worker: a language model with our own tools, behind any OpenAI-compatible endpoint."""

from __future__ import annotations

from councilor.adapters.workers.llm.worker import LlmWorker

__all__ = ["LlmWorker"]
