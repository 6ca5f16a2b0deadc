"""Ways to notify a person: a program of theirs, and a webhook."""

from __future__ import annotations

from councilor.adapters.notify.command import CommandNotifier
from councilor.adapters.notify.webhook import WebhookNotifier

__all__ = ["CommandNotifier", "WebhookNotifier"]
