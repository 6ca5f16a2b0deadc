"""What is told of a task afterwards, and what was stored of it: looked at once its run is over.

The commands run in this process, because they only read, and a tenth of a second each is what a long bench can afford.
"""

from __future__ import annotations

import asyncio
import re

from commandline import CommandLine

from councilor.app import open_store
from councilor.settings import load_settings
from hostility.case import Seen
from hostility.host import Host

__all__ = ["follow_up", "last_look"]

TASK = re.compile(r'(?:task |"task_id": ")([0-9a-f]{8}-[0-9a-f-]{27})')


def follow_up(seen: Seen, host: Host) -> None:
    """Add what `show` and `diff` say, and search everything that was stored for the secret."""
    show = CommandLine(host.data)
    places = {"what was printed": seen.out + seen.err}
    found = TASK.search(seen.told)
    shown = show("show", found[1], "--json") if found else None
    if found and shown and shown.code == 0:
        why, diff = show("show", "--why", found[1]), show("diff", found[1], "--json")
        seen.task = shown.data
        seen.told += why.out + why.err
        seen.shown = (why.out + shown.out + diff.out).encode(errors="surrogateescape")
        verdict = shown.data["verdict"] or {}
        violations = [item for gate in verdict.get("gates", ()) for item in gate["violations"]]
        seen.reasons = len([*violations, *verdict.get("missing_evidence", ()), *verdict.get("dissent", ())])
        places |= {"what is shown": seen.shown} | asyncio.run(_stored(seen.task["task"]["task_id"], host))
    seen.leaked = tuple(name for name, data in places.items() if host.secret.encode() in data)
    printed = [data for name, data in places.items() if name.startswith(("transcript/", "log/"))]
    seen.texts = b"\n".join(printed).decode(errors="replace")


async def _stored(task_id: str, host: Host) -> dict[str, bytes]:
    """Every artifact of a task by its name, and its events."""
    settings = load_settings(flags={"data_dir": str(host.data), "storage.database.url": None})
    async with open_store(settings) as store:
        artifacts = await store.artifacts.of_task(task_id)
        places = {item.name: await store.artifacts.read(item.id) for item in artifacts}
        events = await store.events.read(task_id, limit=10_000)
    return places | {"the events": "\n".join(str(event.data) for event in events).encode(errors="replace")}


def last_look(host: Host) -> list[str]:
    """What is left when every run has been cleaned up, and what reached us without a name."""
    found = [f"arrived: {said!r}" for said in host.arrived if not re.search(rb"case\d", said)]
    cleaned = CommandLine(host.data)("clean", "--all")
    if cleaned.code != 0:
        found.append(f"`clean` ended with {cleaned.code}: {cleaned.err.strip()}")
    found += [f"left of a run: {path.name}" for path in (host.data / "runs").glob("*")]
    scratch = host.data / "sandbox"
    found += [f"left in the sandbox's folder: {path.name}" for path in scratch.glob("*") if path.name != "accounts"]
    return found
