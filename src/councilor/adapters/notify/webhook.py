"""A notification as a signed POST to a URL.

Rules:
- The body is the notification's JSON. A 2xx answer is success. A redirect is not followed: a signed message goes where
  the operator said, or nowhere.
- A broken connection, a time-out, 408, 429 and 5xx are tried again, with twice the pause each time; any other answer
  is final. All tries together have `timeout_s` seconds, shared out equally.
- With a secret the message carries `webhook-signature: v1,<base64>`: HMAC-SHA256 over `id.timestamp.body`. A secret
  that begins with `whsec_` is base64 behind that. The timestamp is of the try, the id of the notification.
- Neither the URL's path nor the secret is in any error.

Source: Standard Webhooks 1.0.0 (headers, signature); RFC 2104 (HMAC).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
from hashlib import sha256

from councilor.adapters.notify.http import ProtocolError, post, shown
from councilor.domain.notification import Notification
from councilor.errors import DeadlineError, InputError, UnavailableError
from councilor.ports.clock import Clock

__all__ = ["WebhookNotifier", "sign", "signing_key"]

PAUSE_S = 0.5
SECRET_PREFIX = "whsec_"  # noqa: S105 - marks a secret, is none
LEAST_KEY_BYTES = 16
AGAIN = frozenset({408, 429})


class _TryAgainError(Exception):
    """A try that failed in a way that may pass."""


class WebhookNotifier:
    """Notifies by posting to a URL.

    Args:
        url: https, or http on this machine; may hold a secret in its path.
        key: signs the messages; None: they are not signed.
        timeout_s: seconds for all tries together.
        attempts: most tries, at least 1.
        clock: waits between tries and tells the time.
    """

    def __init__(self, *, url: str, key: bytes | None, timeout_s: float, attempts: int, clock: Clock) -> None:
        self._url = url
        self._key = key
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._clock = clock

    @property
    def channel(self) -> str:
        """`webhook`."""
        return "webhook"

    async def send(self, notification: Notification) -> None:
        """Post it until it is taken, refused, or time is up."""
        body = json.dumps(notification.document(), separators=(",", ":")).encode()
        problem = "nothing was tried"
        try:
            async with asyncio.timeout(self._timeout_s):
                for attempt in range(self._attempts):
                    if attempt:
                        await self._clock.sleep(PAUSE_S * 2 ** (attempt - 1))
                    try:
                        return await self._try(notification.id, body)
                    except _TryAgainError as error:
                        problem = str(error)
        except TimeoutError as error:
            raise DeadlineError(
                f"The webhook at {shown(self._url)} took nothing within {self._timeout_s:g} s: {problem}.",
                backend=self.channel,
                deadline_s=self._timeout_s,
                hint="See whether its server answers, or raise notify.timeout_s.",
            ) from error
        raise self._refused(f"{problem}, {self._attempts} times")

    async def _try(self, id_: str, body: bytes) -> None:
        timestamp = str(int(self._clock.now().timestamp()))
        headers = {"webhook-id": id_, "webhook-timestamp": timestamp}
        if self._key is not None:
            headers["webhook-signature"] = sign(self._key, id_=id_, timestamp=timestamp, body=body)
        try:
            async with asyncio.timeout(self._timeout_s / self._attempts):
                status = await post(self._url, body, headers)
        except TimeoutError as error:
            raise _TryAgainError("no answer in time") from error
        except (OSError, ProtocolError) as error:
            raise _TryAgainError(str(error) or type(error).__name__) from error
        if status in AGAIN or status >= 500:
            raise _TryAgainError(f"it answered {status}")
        if 300 <= status < 400:
            raise self._refused(f"it answered {status}, and redirects are not followed")
        if status >= 400:
            raise self._refused(f"it answered {status}")

    def _refused(self, problem: str) -> UnavailableError:
        return UnavailableError(
            f"The webhook at {shown(self._url)} did not take the message: {problem}.",
            backend=self.channel,
            hint="Correct notify.webhook, then try it with `councilor notify --test`.",
        )


def sign(key: bytes, *, id_: str, timestamp: str, body: bytes) -> str:
    """The value of `webhook-signature`."""
    signed = f"{id_}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, sha256).digest()).decode()


def signing_key(secret: str) -> bytes:
    """The key that a secret is.

    Raises:
        InputError: it is too short, or not base64 behind `whsec_`.
    """
    secret = secret.strip()
    try:
        coded = secret.startswith(SECRET_PREFIX)
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True) if coded else secret.encode()
    except (binascii.Error, ValueError) as error:
        raise InputError("The webhook's secret is not base64 behind `whsec_`.", field="notify") from error
    if len(key) < LEAST_KEY_BYTES:
        raise InputError(
            f"The webhook's secret has {len(key)} bytes; {LEAST_KEY_BYTES} are the least.",
            field="notify",
            hint="Make one: openssl rand -hex 32",
        )
    return key
