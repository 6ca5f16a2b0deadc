"""What an artifact is called on the command line.

Rules, in this order:
- `TASK:NAME` is the newest version of a name in a task, `TASK:NAME@VERSION` that one; TASK may be `last`.
- An artifact's id.
- An alias.
- Four or more digits of the beginning or the end of an id that mean one artifact only.
"""

from __future__ import annotations

import re

from councilor.app import Store
from councilor.domain.artifact import ArtifactVersion, ExecutionArtifact
from councilor.domain.stored import is_fragment, is_id
from councilor.errors import InputError, NotFoundError
from councilor.surfaces.cli.session import find_task

__all__ = ["ARTIFACT_HELP", "find_artifact", "find_version", "require_unambiguous"]

ARTIFACT_HELP = "An id, its beginning or end, an alias, or TASK:NAME or TASK:NAME@VERSION."

_LIST_HINT = "`councilor artifacts list` shows them."
_VERSIONED = re.compile(r"(?P<name>.+)@(?P<version>[0-9]{1,9})", re.DOTALL)


async def find_artifact(store: Store, text: str) -> ExecutionArtifact:
    """The one artifact that `text` means.

    Raises:
        InputError: it is not of a form that can mean one.
        NotFoundError: it means none, or more than one.
    """
    task, colon, name = text.partition(":")
    if colon:
        artifact_id = (await find_version(store, task, name)).artifact_id
    else:
        artifact_id = await _id_of(store, text)
    artifact = await store.artifacts.get(artifact_id)
    if artifact is None:
        raise NotFoundError(f"There is no artifact {artifact_id}.", hint=_LIST_HINT)
    return artifact


async def find_version(store: Store, task: str, name: str) -> ArtifactVersion:
    """The version that `NAME` or `NAME@VERSION` means in a task; a name that ends like a version is tried first.

    Raises:
        NotFoundError: the task, the name or the version is not there.
    """
    task_id = await find_task(store.events, task)
    if found := await store.artifacts.versions(task_id, name):
        return found[-1]
    if versioned := _VERSIONED.fullmatch(name):
        number = int(versioned["version"])
        versions = await store.artifacts.versions(task_id, versioned["name"])
        if chosen := next((item for item in versions if item.version == number), None):
            return chosen
        if versions:
            raise NotFoundError(
                f"{versioned['name']!r} has {len(versions)} version(s) in task {task_id}, and no {number}.",
                hint=f"councilor artifacts versions {task_id} {versioned['name']}",
            )
    raise NotFoundError(
        f"The task {task_id} has no artifact {name!r}.", hint=f"councilor artifacts list --task {task_id}"
    )


async def _id_of(store: Store, text: str) -> str:
    if is_id(text):
        return text
    if (aliased := (await store.artifacts.aliases()).get(text)) is not None:
        return aliased
    if not is_fragment(text):
        raise NotFoundError(f"There is no artifact and no alias {text!r}.", hint=f"Give: {ARTIFACT_HELP}")
    found = await store.artifacts.find(text)
    if not found:
        raise NotFoundError(f"There is no artifact {text}.", hint=_LIST_HINT)
    if len(found) > 1:
        raise NotFoundError(f"{text} means {len(found)} artifacts: {', '.join(found)}.", hint="Give more digits.")
    return found[0]


def require_unambiguous(alias: str) -> None:
    """Refuse an alias that could be taken for digits of an id.

    Raises:
        InputError: it could.
    """
    if is_fragment(alias):
        raise InputError(
            f"The alias {alias!r} looks like digits of an id.",
            field="alias",
            hint="Use a letter beyond f, such as in `release/1.0`.",
        )
