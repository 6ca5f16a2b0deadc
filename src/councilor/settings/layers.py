"""Who says what: the layers that settings come from, merged key by key.

Rules:
- `config/default.yaml` < `--config FILE` < environment (`V3_STORAGE__DATABASE__URL`) < flags.
- A wrong type, an unknown key and an unknown `V3_*` variable are an `InputError` that names the key, who said it, and
  the nearest valid key. A variable names one key, never a block; an empty one counts as not set, `null` is null, and a
  list is JSON.
- Secrets are masked wherever settings are shown, and no error repeats a value.

This package is the only reader of YAML configuration, environment and flags. Working specs and policies are input, not
configuration; adapters get values as arguments.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource, SettingsError

from councilor.domain.document import Problem, parse_mapping
from councilor.domain.redaction import MASK, Redaction, mask_secrets
from councilor.errors import InputError
from councilor.settings.schema import Settings

__all__ = ["EffectiveValue", "default_file", "explain", "load_settings", "setting_fields", "variable_name"]

_ANY_NAME = "<name>"
_BUILT_IN = "built-in"


@dataclass(frozen=True, kw_only=True, slots=True)
class EffectiveValue:
    """One key as it is in force."""

    key: str
    """Dotted, such as `storage.database.url`."""
    value: Any
    """JSON data, secrets masked."""
    origin: str
    """`default`, `file PATH`, `environment NAME`, `flag`, or `built-in`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layer:
    """What one source says."""

    origin: str
    values: Mapping[str, Any]
    """Nested as in the YAML file."""


def default_file() -> Path:
    """`config/default.yaml`: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "config" / "default.yaml"
    return installed if installed.is_file() else package.parents[1] / "config" / "default.yaml"


def load_settings(*, config: Path | None = None, flags: Mapping[str, object] | None = None) -> Settings:
    """Read all layers.

    Args:
        config: the user's own YAML file.
        flags: dotted key -> value; None counts as not given.

    Raises:
        InputError: anything that is not as the schema says.
    """
    layers = [
        _Layer(origin="default", values=_read(default_file())),
        _Layer(origin=f"file {config}", values=_read(config) if config else {}),
        _Layer(origin="environment", values=_from_environment()),
        _Layer(origin="flag", values=_from_flags(flags or {})),
    ]
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        _check_keys(layer)
        merged = _merge(merged, layer.values)
        for key in _leaves(layer.values):
            origins.pop(key, None)  # put at the end again: the last mention is the one in force
            origins[key] = _origin(layer, key)
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        raise _refusal(error, origins) from None  # pydantic's own text could repeat a secret
    settings._origins.update(origins)
    return settings


def explain(settings: Settings) -> tuple[EffectiveValue, ...]:
    """Every key with its value in force and the layer that it came from, sorted by key."""
    origins = settings.origins
    return tuple(
        EffectiveValue(key=key, value=value, origin=origins.get(key, _BUILT_IN))
        for key, value in sorted(_shown(settings))
    )


@lru_cache(maxsize=1)
def setting_fields() -> Mapping[str, FieldInfo]:
    """Dotted key -> its declaration; `workers.<name>.kind` stands for every profile."""
    return dict(_fields(Settings, ""))


def variable_name(key: str) -> str:
    """The environment variable of a dotted key."""
    return "V3_" + key.replace(".", "__").upper()


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        block, key = _block_of(field), prefix + name
        if block is None:
            yield key, field
        else:
            yield from _fields(block, f"{key}.{_ANY_NAME}." if _is_table(field) else f"{key}.")


def _block_of(field: FieldInfo) -> type[BaseModel] | None:
    candidates = get_args(field.annotation) if _is_table(field) else (field.annotation,)
    return next((kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _is_table(field: FieldInfo) -> bool:
    return getattr(field.annotation, "__origin__", None) is dict


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.", field="--config") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text.", field="--config") from error
    if not any(line.partition("#")[0].strip() for line in text.splitlines()):
        return {}
    try:
        return parse_mapping(text)
    except Problem as problem:
        place = f"{path}:{problem.line}" if problem.line else f"{path}"
        raise InputError(f"{place}: {problem.message}.", hint=problem.hint or None, field="--config") from problem


def _from_environment() -> dict[str, Any]:
    for name in sorted(os.environ):
        if name.upper().startswith("V3_"):
            key = name[3:].lower().replace("__", ".")
            if _pattern(key) not in setting_fields():
                raise _unknown(key, origin=f"environment {name}", shown=name)
    try:
        return EnvSettingsSource(Settings)()
    except SettingsError as error:
        raise InputError(
            f"The environment variables V3_* cannot be read: {error}.",
            hint='A list is written as JSON: V3_WORKERS__MINE__COMMAND=\'["program", "argument"]\'.',
        ) from None  # its cause holds the value


def _from_flags(flags: Mapping[str, object]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in flags.items():
        if value is None:
            continue
        *blocks, last = key.split(".")
        place = nested
        for block in blocks:
            place = place.setdefault(block, {})
        place[last] = value
    return nested


def _check_keys(layer: _Layer) -> None:
    blocks = {key.rsplit(".", depth)[0] for key in setting_fields() for depth in range(1, key.count(".") + 1)}
    for key in _leaves(layer.values):
        # A block given as a scalar is a wrong type, which the schema reports.
        if _pattern(key) not in setting_fields() and _pattern(key) not in blocks:
            raise _unknown(key, origin=layer.origin, shown=key)


def _pattern(key: str) -> str:
    """`workers.claude.kind` as it is declared: `workers.<name>.kind`."""
    parts = key.split(".")
    if parts[0] == "workers" and len(parts) > 1:
        parts[1] = _ANY_NAME
    return ".".join(parts)


def _unknown(key: str, *, origin: str, shown: str) -> InputError:
    near = _nearest(key)
    if shown != key:
        near = variable_name(near)
    return InputError(f"{shown} ({origin}) is not a setting.", hint=f"Did you mean {near}?", field=key)


def _nearest(key: str) -> str:
    """The valid key most like `key`: as a whole, or by its last part when its block was forgotten."""
    sought = _pattern(key)

    def likeness(valid: str) -> float:
        def ratio(a: str, b: str) -> float:
            return difflib.SequenceMatcher(None, a, b).ratio()

        return max(ratio(sought, valid), 0.95 * ratio(sought.rsplit(".")[-1], valid.rsplit(".")[-1]))

    best = max(setting_fields(), key=likeness)
    name = key.split(".")[1] if key.startswith("workers.") else _ANY_NAME
    return best.replace(_ANY_NAME, name)


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return merged


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        elif not isinstance(value, Mapping):
            yield f"{prefix}{key}"


def _origin(layer: _Layer, key: str) -> str:
    return f"{layer.origin} {variable_name(key)}" if layer.origin == "environment" else layer.origin


def _refusal(error: ValidationError, origins: dict[str, str]) -> InputError:
    first = error.errors(include_input=False, include_url=False)[0]
    parts = [str(part) for part in first["loc"] if part != "[key]"]
    key = ".".join(part for part in parts if not part.isdigit())
    said = next((origins[name] for name in reversed(origins) if f"{name}.".startswith(f"{key}.")), None)
    message = str(first["msg"]).removeprefix("Value error, ")
    hint = f"Correct {key}; docs/reference/configuration.md says what it takes."
    return InputError(f"{key}{f' ({said})' if said else ''}: {message}.", hint=hint, field=key)


def _shown(settings: Settings) -> Iterator[tuple[str, Any]]:
    names = settings.workers
    for key in setting_fields():
        for name in names if _ANY_NAME in key else (_ANY_NAME,):
            actual = key.replace(_ANY_NAME, name)
            yield actual, _presentable(settings.value(actual))


def _presentable(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return _mask_url(value.get_secret_value())
    if isinstance(value, tuple):
        return Redaction().value(
            "", [item.model_dump(mode="json") if isinstance(item, BaseModel) else str(item) for item in value]
        )
    return str(value) if isinstance(value, Path) else value


def _mask_url(url: str) -> str:
    """A URL without its password, wherever that stands; anything that is no URL is masked as a whole."""
    found = re.fullmatch(r"([a-z][a-z0-9+.-]*://)(.*)", url, re.IGNORECASE | re.DOTALL)
    if found is None:
        return MASK
    scheme, rest = found.groups()
    if scheme.lower() in {"http://", "https://"}:
        return f"{scheme}{rest.partition('/')[0].rpartition('@')[2]}/{MASK}"  # a webhook's secret is its path
    user_info, at, place = rest.rpartition("@")
    user = user_info.partition(":")[0] + (f":{MASK}" if ":" in user_info else "")
    return scheme + user + at + mask_secrets(place)
