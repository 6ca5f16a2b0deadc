"""What the engine stores: JSON in place of DBOS's pickles.

Rules:
- Every text is an envelope, `{"value": ...}` or `{"error": {...}}`, so that a result can never be taken for an error.
- A value that is not plain JSON data is an `InputError`, never converted.
- An error of our tree comes back as its own class with message, hint and fields; a built-in one as its own class with
  its message; any other as a `RuntimeError` that names its class. Nothing stored chooses what code runs.
- An error of the engine's own database is never an outcome: storing one raises `DatabaseLost`, which DBOS lets pass,
  so that a run interrupted by its database stays resumable.
"""

from __future__ import annotations

import builtins
import json
from typing import Any

from dbos import Serializer
from sqlalchemy.exc import SQLAlchemyError

from councilor import errors
from councilor.domain.codec import JsonValue, json_text
from councilor.errors import CouncilorError

__all__ = ["DatabaseLost", "JsonSerializer"]


class DatabaseLost(BaseException):
    """The engine's database failed in the middle of a run; no `Exception`, so that no workflow handles it."""


class JsonSerializer(Serializer):
    """JSON text for what steps and runs give or raise."""

    def name(self) -> str:
        """Stored beside each text; a text of another serialiser is refused."""
        return "councilor_json"

    def serialize(self, data: Any) -> str:
        """The envelope of a value, of an exception or of a workflow's arguments.

        Raises:
            InputError: the value is not plain JSON data.
            DatabaseLost: it is an error of the engine's own database.
        """
        if isinstance(data, SQLAlchemyError):
            raise DatabaseLost from data
        if isinstance(data, Exception):
            return json_text({"error": _describe(data)})
        if isinstance(data, dict) and data.keys() == {"args", "kwargs"}:
            # DBOS hands in a workflow's arguments as {"args": tuple, "kwargs": dict}.
            data = {**data, "args": list(data["args"])}
        return json_text({"value": data})

    def deserialize(self, serialized_data: str) -> Any:
        """The value, or the exception itself (not raised)."""
        envelope = json.loads(serialized_data)
        return _rebuild(envelope["error"]) if "error" in envelope else envelope["value"]


def _describe(error: Exception) -> JsonValue:
    fields = {name: value for name, value in vars(error).items() if isinstance(value, str | int | float | None)}
    fields.pop("__notes__", None)
    return {"type": type(error).__name__, "message": str(error), "fields": fields if _ours(type(error)) else {}}


def _rebuild(description: dict[str, Any]) -> Exception:
    name, message = description["type"], description["message"]
    kind = getattr(errors, name, None) or getattr(builtins, name, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)) or issubclass(kind, BaseExceptionGroup):
        return RuntimeError(f"{name}: {message}")
    # Past __init__, whose arguments differ from class to class; BaseException.__new__ keeps the message.
    error = kind.__new__(kind, message)
    if _ours(kind):
        vars(error).update(description["fields"])
    return error


def _ours(kind: type) -> bool:
    return issubclass(kind, CouncilorError)
