"""The ASGI app of health and metrics: `/livez`, `/readyz`, `/healthz`, `/metrics`.

Rules:
- Every answer is made of what is known already: no request reaches a backend, however often it comes.
- `/livez` depends on nothing: it says that this process takes requests. `/readyz` is 503 when something fails that
  nothing serves in place of; degraded is 200 with `warn`. `/healthz` says the same with every component.
- Nothing secret is in an answer: no URL, no path of the host, no server's name and version in its headers.
- Where it listens on this machine only, a request must name this machine as its host: else a web page could read the
  answers by letting its own name point here (DNS rebinding).
- GET and HEAD; nothing is cached.

A larger app can mount it. It opens no port and probes nothing.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from councilor.domain.health import Health, HealthStatus
from councilor.ports.metrics import Exposition
from councilor.surfaces.http.answers import health_answer, problem_answer, status_answer

__all__ = ["make_app"]

PATHS = ("/livez", "/readyz", "/healthz", "/metrics")
METRICS_OFF = "Metrics are not exported: switch observability.prometheus on, and install councilor[prometheus]."

_log = logging.getLogger(__name__)


def make_app(health: Callable[[], Health], *, release_id: str, exposition: Exposition | None, local: bool) -> Starlette:
    """The app.

    Args:
        health: how everything stands; must not wait for anything.
        release_id: what exactly runs here.
        exposition: the metrics; None when they are not exported.
        local: whether only this machine is to reach it.
    """

    async def livez(_request: Request) -> Response:
        return status_answer(HealthStatus.PASS)

    async def readyz(_request: Request) -> Response:
        found = health()
        return status_answer(found.status, ", ".join(found.failing))

    async def healthz(_request: Request) -> Response:
        return health_answer(health(), release_id=release_id)

    async def metrics(request: Request) -> Response:
        if exposition is None:
            raise HTTPException(404, METRICS_OFF)
        health()  # sets the gauges of what nobody has heard of for too long
        return _metrics_answer(exposition, request.headers.get("accept", ""))

    endpoints = (livez, readyz, healthz, metrics)
    app = Starlette(
        routes=[Route(path, endpoint, methods=["GET"]) for path, endpoint in zip(PATHS, endpoints, strict=True)],
        middleware=[Middleware(_NoStore), *([Middleware(_LocalHosts)] if local else [])],
        exception_handlers={HTTPException: _problem},
    )
    app.router.redirect_slashes = False
    return app


def _metrics_answer(exposition: Exposition, accept: str) -> Response:
    try:
        content_type, body = exposition.render(accept)
    except Exception as error:
        _log.error("the metrics cannot be rendered", exc_info=error)
        return problem_answer(500, "The metrics cannot be rendered; the log says why.")
    return Response(body, headers={"Content-Type": content_type})


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "it is registered for this class"
    match error.status_code:
        case 404 if request.url.path not in PATHS:
            detail = f"There are {', '.join(PATHS)}."
        case 405:
            detail = "Only GET and HEAD are answered here."
        case _:
            detail = error.detail
    return problem_answer(error.status_code, detail, error.headers)


class _NoStore:
    """Adds what every answer has in its headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Cache-Control"] = "no-store"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self._app(scope, receive, send_with_headers)


class _LocalHosts:
    """Refuses requests that name another host than this machine."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            host = Headers(scope=scope).get("host", "")
            if host and not _names_this_machine(host):
                answer = problem_answer(421, "Ask for localhost: this is for programs on this machine.")
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _names_this_machine(host: str) -> bool:
    """Whether a `Host` header, with or without a port, is of the loopback network."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    name = name.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
