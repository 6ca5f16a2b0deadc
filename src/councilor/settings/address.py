"""URLs that are sent something: https, or http on this machine, without a user and without a fragment."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

__all__ = ["problem_of_url"]


def problem_of_url(url: str) -> str | None:
    """What is wrong with a URL; never repeats it, because it may hold a secret."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "Input should be a URL"
    if not re.fullmatch(r"[!-~]+", url) or not host or parts.scheme not in {"http", "https"}:
        return "Input should be a URL that starts with https://, in printable ASCII"
    if "@" in parts.netloc or parts.fragment:
        return "Input should be a URL without a user and without a fragment"
    if parts.scheme == "http" and not _is_loopback(host):
        return "Input should be a URL that starts with https://; http is for this machine only"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
