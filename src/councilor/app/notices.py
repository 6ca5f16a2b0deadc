"""What leaves this process besides results: its log, and messages about a task's end."""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import urlsplit

from councilor.adapters.logs import configure_logs
from councilor.adapters.notify import CommandNotifier, WebhookNotifier
from councilor.adapters.notify.webhook import signing_key
from councilor.adapters.system import SystemClock, SystemIds
from councilor.app.database import external_url
from councilor.pipeline.trial import Trial, try_out
from councilor.ports.notifier import Notifier
from councilor.settings import Settings, read_secret

__all__ = ["known_secrets", "notifiers", "send_trial", "start_logs"]


def start_logs(settings: Settings) -> None:
    """Send the log of this process to standard error, without the secrets of these settings."""
    configure_logs(level=settings.log.level, log_format=settings.log.format, known_secrets=known_secrets(settings))


def known_secrets(settings: Settings) -> Sequence[str]:
    """Secrets of these settings that nobody could recognise by their form."""
    webhook = settings.notify.webhook
    secrets = [
        urlsplit(external_url(settings) or "").password,
        urlsplit(settings.redis.url.get_secret_value()).password,
        webhook.get_secret_value() if webhook else None,
        *(os.environ.get(judge.api_key_env or "") for judge in settings.council.judges),
        *(os.environ.get(name) for worker in settings.workers.values() for name in worker.credentials),
    ]
    return [item for item in secrets if item]


def notifiers(settings: Settings) -> Sequence[Notifier]:
    """Who is told of a task's end; nobody unless the settings name somebody.

    Raises:
        InputError: the secret that is to sign messages is not there, or is none.
    """
    chosen, found = settings.notify, list[Notifier]()
    if chosen.command:
        found.append(CommandNotifier(command=chosen.command, environment=os.environ, timeout_s=chosen.timeout_s))
    if chosen.webhook is not None:
        secret = read_secret(variable=chosen.secret_variable, file=chosen.secret_file)
        found.append(
            WebhookNotifier(
                url=chosen.webhook.get_secret_value(),
                key=None if secret is None else signing_key(secret),
                timeout_s=chosen.timeout_s,
                attempts=chosen.attempts,
                clock=SystemClock(),
            )
        )
    return found


async def send_trial(settings: Settings) -> Sequence[Trial]:
    """Send a trial message to everybody who would be notified; gives what became of it."""
    clock = SystemClock()
    return await try_out(notifiers(settings), clock=clock, ids=SystemIds(clock=clock))
