"""What of the host's settings reaches a build: the installers' own variables and files, nothing else.

Rules:
- `PIP_*`, `UV_*`, proxies and certificate bundles pass; where uv has another name for what pip was told, in variables
  or in pip's configuration files, it is told too. What was said to uv itself wins.
- Like pip, all indexes count alike when they come from pip's settings.
- Local folders and files that they name are mounted read-only; of an index folder `simple` the folder that it is in,
  because its pages link to files beside it.
- Where things are installed, and with which interpreter, is ours alone to say.

A build runs code of packages with these settings, credentials of an index included, as every installer does.
Source: https://pip.pypa.io/en/stable/topics/configuration/, https://docs.astral.sh/uv/reference/environment/.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from councilor.ports.sandbox import Mount

__all__ = ["installer_mounts", "installer_variables", "redact"]

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_BUNDLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_OURS = ("UV_CACHE_DIR", "UV_PYTHON", "UV_PROJECT", "UV_WORKING", "UV_TOOL", "UV_LINK_MODE", "UV_SYSTEM", "UV_BREAK")
_OURS_PIP = (
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_USER",
    "PIP_SRC",
    "PIP_CACHE_DIR",
    "PIP_PYTHON",
    "PIP_REQUIRE",
)
_FOR_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}
_COMMAS = ("UV_FIND_LINKS",)
_READ_BY_PIP = ("constraint", "build-constraint", "client-cert")
"""Keys of pip's files that name files for pip itself, and that uv is not told."""
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def redact(text: str) -> str:
    """`text` without user names and passwords in addresses."""
    return _CREDENTIALS.sub("***@", text)


def installer_variables(host_env: Mapping[str, str]) -> dict[str, str]:
    """The variables for a build."""
    given = {name: value for name, value in host_env.items() if _passes(name)}
    settings = _pip_settings(host_env)
    translated = {name: settings[key] for key, name in _FOR_UV.items() if settings.get(key)}
    for name in _COMMAS:
        if name in translated:
            translated[name] = ",".join(translated[name].split())
    if "UV_INDEX" in translated:
        translated["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    bundle = given.get("REQUESTS_CA_BUNDLE") or given.get("CURL_CA_BUNDLE")
    if bundle:
        translated.setdefault("SSL_CERT_FILE", bundle)
    return {**translated, **given}


def installer_mounts(host_env: Mapping[str, str], variables: Mapping[str, str]) -> tuple[Mount, ...]:
    """What those variables and pip's own files need to be readable."""
    settings = _pip_settings(host_env)
    told = (*variables.values(), *(settings[key] for key in _READ_BY_PIP if key in settings))
    named = {path for value in told for path in _local_paths(value)}
    paths = sorted({*named, *_pip_files(host_env)})
    return tuple(Mount(path=path) for path in paths if path != Path("/") and path.exists())


def _passes(name: str) -> bool:
    if name.startswith((*_OURS, *_OURS_PIP)):
        return False
    return name.startswith(("PIP_", "UV_")) or name in _BUNDLES or name.lower() in _PROXIES


def _pip_files(host_env: Mapping[str, str]) -> Iterator[Path]:
    """pip's configuration files that exist, the strongest last."""
    home = host_env.get("HOME")
    folders = [Path(name) for name in (host_env.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":") if name]
    candidates = [*(folder / "pip" / "pip.conf" for folder in folders), Path("/etc/pip.conf")]
    if home:
        config = Path(host_env.get("XDG_CONFIG_HOME") or f"{home}/.config")
        candidates += [Path(home, ".pip", "pip.conf"), config / "pip" / "pip.conf"]
    if named := host_env.get("PIP_CONFIG_FILE"):
        candidates = [] if named == "/dev/null" else [*candidates, Path(named)]
    yield from (path for path in candidates if path.is_absolute() and path.is_file())


def _pip_settings(host_env: Mapping[str, str]) -> dict[str, str]:
    """pip's settings that uv should know, from files and then variables."""
    settings: dict[str, str] = {}
    for path in _pip_files(host_env):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue  # pip itself will say so, where it is used
        for section in ("global", "install"):
            if parser.has_section(section):
                settings |= {key.replace("_", "-"): " ".join(value.split()) for key, value in parser.items(section)}
    for key in _FOR_UV:
        if value := host_env.get("PIP_" + key.upper().replace("-", "_")):
            settings[key] = value
    return settings


def _local_paths(value: str) -> Iterator[Path]:
    for part in re.split(r"[\s,]+", value):
        if part.startswith("file://"):
            path = Path(unquote(urlsplit(part).path))
            yield path.parent if path.name == "simple" else path
        elif part.startswith("/"):
            yield Path(part)
