"""What councilor serves over HTTP."""

from __future__ import annotations

from councilor.surfaces.http.app import make_app
from councilor.surfaces.http.listening import Address, is_local, listen
from councilor.surfaces.http.server import serving

__all__ = ["Address", "is_local", "listen", "make_app", "serving"]
