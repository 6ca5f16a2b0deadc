"""Drawings of a lineage, made once for whoever looks at the same one.

Rules:
- The key is everything that is drawn, and the drawing's own version: the same key is the same picture for ever.
- A small lineage is drawn sooner than it is looked for.
- A drawing shows; it proves nothing. What it shows is checked by `councilor verify`, from the ledger.
"""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256

from councilor import __version__
from councilor.domain.codec import encode
from councilor.domain.lineage import Lineage
from councilor.domain.lineage_svg import draw_svg
from councilor.guards.loading import LoadingCache

__all__ = ["NAMESPACE", "draw_shared"]

NAMESPACE = "drawings"
LARGE = 100
"""Artifacts from which on a drawing is kept: it takes some 8 ms then, and 90 ms with ten times as many."""
_VERSION = 1
"""One more whenever a lineage is drawn in another way."""


async def draw_shared(lineage: Lineage, cache: LoadingCache) -> str:
    """The SVG picture of a lineage."""
    if len(lineage.nodes) < LARGE:
        return draw_svg(lineage)

    async def draw() -> bytes:
        return (await asyncio.to_thread(draw_svg, lineage)).encode()

    shown = json.dumps(encode(lineage), sort_keys=True).encode()
    key = f"svg:{__version__}:{_VERSION}:{sha256(shown).hexdigest()}"
    return (await cache.get_or_load(NAMESPACE, key, draw)).decode()
