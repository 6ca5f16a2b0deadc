"""Ways to tell others, by a program of theirs or a webhook: a person of an end, a forge of a commit."""

from __future__ import annotations

from councilor.adapters.notify.command import CommandNotifier
from councilor.adapters.notify.publisher import CommandPublisher
from councilor.adapters.notify.webhook import WebhookNotifier

__all__ = ["CommandNotifier", "CommandPublisher", "WebhookNotifier"]
