"""What leaves this process besides results: its log, and messages about a task's end."""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import urlsplit

from councilor.adapters.logs import configure_logs
from councilor.adapters.notify import CommandNotifier, WebhookNotifier
from councilor.adapters.notify.webhook import signing_key
from councilor.adapters.system import SystemClock, SystemIds, SystemRandomness
from councilor.app.database import external_url
from councilor.app.guarding import Guarding, make_guarding
from councilor.pipeline.trial import Trial, try_out
from councilor.ports.metrics import NoMetrics
from councilor.ports.notifier import Notifier
from councilor.settings import Settings, read_secret

__all__ = ["channels", "known_secrets", "notifiers", "send_trial", "start_logs"]


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


GRACE_S = 5.0
"""Seconds that a notifier has to end by itself, and to say more than that it was late."""


def notifiers(settings: Settings, guarding: Guarding) -> Sequence[Notifier]:
    """Who is told of a task's end; nobody unless the settings name somebody.

    Each has a breaker of its own; tries are its own, too.

    Raises:
        InputError: the secret that is to sign messages is not there, or is none.
    """
    chosen, found = settings.notify, list[Notifier]()
    if chosen.command:
        command = CommandNotifier(command=chosen.command, environment=os.environ, timeout_s=chosen.timeout_s)
        found.append(_guarded(guarding, command, chosen.timeout_s))
    if chosen.webhook is not None:
        secret = read_secret(variable=chosen.secret_variable, file=chosen.secret_file)
        webhook = WebhookNotifier(
            url=chosen.webhook.get_secret_value(),
            key=None if secret is None else signing_key(secret),
            timeout_s=chosen.timeout_s,
            attempts=chosen.attempts,
            clock=guarding.clock,
        )
        found.append(_guarded(guarding, webhook, chosen.timeout_s))
    return found


def _guarded(guarding: Guarding, notifier: Notifier, timeout_s: float) -> Notifier:
    return guarding.around(notifier, port="notifier", backend=notifier.channel, default_s=timeout_s + GRACE_S)


async def send_trial(settings: Settings) -> Sequence[Trial]:
    """Send a trial message to everybody who would be notified; gives what became of it."""
    guarding = _own_guarding(settings)
    clock = guarding.clock
    return await try_out(notifiers(settings, guarding), clock=clock, ids=SystemIds(clock=clock))


def channels(settings: Settings) -> Sequence[str]:
    """How a task's end would be told."""
    return [notifier.channel for notifier in notifiers(settings, _own_guarding(settings))]


def _own_guarding(settings: Settings) -> Guarding:
    return make_guarding(settings, clock=SystemClock(), metrics=NoMetrics(), randomness=SystemRandomness())
