"""Answers as bytes: health in the draft's shape, and problems.

Source: draft-inadarei-api-health-check-06, sections 3 and 4; RFC 9457 (problem details).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response

from councilor import __version__
from councilor.domain.codec import JsonValue
from councilor.domain.health import Health, HealthStatus, Observation

__all__ = ["health_answer", "problem_answer", "status_answer"]

HEALTH_TYPE = "application/health+json"
PROBLEM_TYPE = "application/problem+json"


def status_answer(status: HealthStatus, output: str = "") -> Response:
    """The status alone, for machines that ask often.

    Args:
        output: what is wrong; empty when nothing is.
    """
    body: dict[str, JsonValue] = {"status": str(status)}
    return _answer(body | ({"output": output} if output else {}), _code(status), HEALTH_TYPE)


def health_answer(health: Health, *, release_id: str) -> Response:
    """Everything that may be told of how this process stands.

    Args:
        release_id: what exactly runs here.
    """
    checks: dict[str, JsonValue] = {_key(item): [_check(item)] for item in health.observations}
    body: dict[str, JsonValue] = {
        "status": str(health.status),
        "version": __version__,
        "releaseId": release_id,
        "description": "health of councilor",
        "checks": checks,
    }
    return _answer(body, _code(health.status), HEALTH_TYPE)


def problem_answer(code: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """What was wrong with a request, or with us."""
    body: dict[str, JsonValue] = {"title": HTTPStatus(code).phrase, "status": code, "detail": detail}
    return _answer(body, code, PROBLEM_TYPE, headers)


def _code(status: HealthStatus) -> int:
    return 503 if status is HealthStatus.FAIL else 200


def _key(item: Observation) -> str:
    check = item.check
    return f"{check.component}:{check.measurement}" if check.measurement else check.component


def _check(item: Observation) -> JsonValue:
    """The draft leaves `output` out where all is well."""
    check = item.check
    told: dict[str, JsonValue] = {"componentType": str(check.kind), "status": str(check.standing)}
    if check.observed is not None:
        told |= {"observedValue": round(check.observed, 6), "observedUnit": check.unit}
    if item.time is not None:
        told["time"] = item.time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if check.standing is not HealthStatus.PASS and check.told:
        told["output"] = check.told
    return told


def _answer(body: JsonValue, code: int, media_type: str, headers: Mapping[str, str] | None = None) -> Response:
    text = json.dumps(body, ensure_ascii=True, separators=(",", ":")) + "\n"
    return Response(text.encode(), status_code=code, media_type=media_type, headers=dict(headers or {}))
