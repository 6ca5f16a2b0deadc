"""What leaves this process besides results: its log, and messages about a task's end."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from urllib.parse import unquote, urlsplit

from councilor.adapters.logs import configure_logs
from councilor.adapters.notify import CommandNotifier, WebhookNotifier
from councilor.adapters.notify.webhook import signing_key
from councilor.adapters.system import SystemClock, SystemIds, SystemRandomness
from councilor.app.database import external_url
from councilor.app.guarding import Guarding, make_guarding
from councilor.domain.redaction import is_secret_name
from councilor.errors import InputError
from councilor.pipeline.trialmessage import Trial, try_out
from councilor.ports.metrics import NoMetrics
from councilor.ports.notifier import Notifier
from councilor.settings import Settings, read_secret

__all__ = ["channels", "known_secrets", "notifiers", "send_trial", "start_logs"]

LONG = 16
"""Characters from which on a collector's header is taken for a key, whatever its name is: `x-team` may hold one."""


def start_logs(settings: Settings) -> None:
    """Send the log of this process to standard error, without the secrets of these settings."""
    configure_logs(level=settings.log.level, log_format=settings.log.format, known_secrets=known_secrets(settings))


def known_secrets(settings: Settings) -> Sequence[str]:
    """Secrets of these settings that nobody could recognise by their form."""
    chosen = settings.notify
    signing = None
    with suppress(InputError):  # who signs with it says what is wrong with it
        signing = read_secret(variable=chosen.secret_variable, file=chosen.secret_file)
    secrets = [
        *_passwords(external_url(settings), settings.redis.url.get_secret_value()),
        chosen.webhook.get_secret_value() if chosen.webhook else None,
        signing,
        *(os.environ.get(judge.api_key_env or "") for judge in settings.council.judges),
        *(os.environ.get(worker.api_key_env or "") for worker in settings.workers.values()),
        *(os.environ.get(name) for worker in settings.workers.values() for name in worker.credentials),
        *_of_headers(os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")),
        *_of_headers(os.environ.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "")),
    ]
    return [item for item in secrets if item]


def _passwords(*urls: str | None) -> Iterator[str]:
    """Each URL's password, as it is written there and as it is sent."""
    for url in urls:
        if password := urlsplit(url or "").password:
            yield from (password, unquote(password))


def _of_headers(headers: str) -> Iterator[str]:
    """What a collector is sent as its key. Source: W3C Baggage, whose form OpenTelemetry's variables have."""
    for header in headers.split(","):
        name, _, value = (unquote(part).strip() for part in header.partition("="))
        key = value.rpartition(" ")[2]  # behind `Bearer`
        if is_secret_name(name) or len(key) >= LONG:
            yield key


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
