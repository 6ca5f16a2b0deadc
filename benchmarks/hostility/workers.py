"""Acts done by a worker, and by a test of a repository whose worker is honest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hostility.case import ACCEPTED, REFUSED, REPAIR, Case

__all__ = ["act_cases"]

EITHER = ACCEPTED | REFUSED
ENDLESS = ("workers.hostile.timeout_s=2",)


@dataclass(frozen=True)
class Doing:
    """One act, and how a run with a worker who does it may end."""

    item: str
    act: str
    ends: frozenset[int] = ACCEPTED
    says: str = ""
    tells: bool = True
    """Whether it can say that it was tried: not when it ends itself or is ended."""
    tells_in_test: bool = True
    settings: tuple[str, ...] = ()
    quick: bool = False
    in_test: bool = True


DOINGS = (
    Doing("fork without end", "fork_many", quick=True),
    Doing("fork without end", "thread_bomb"),
    Doing("fork without end", "fork_bomb", REFUSED, "did not end within|limit of processes", False, False, ENDLESS),
    Doing("fill memory", "fill_memory", EITHER, tells=False, tells_in_test=False, quick=True),
    Doing("fill memory", "fill_shared_memory", EITHER, tells=False, tells_in_test=False),
    Doing("fill the disk", "fill_disk", REFUSED, "limit of disk", False, False, quick=True),
    Doing("fill the disk", "one_large_file", EITHER),
    Doing("fill the disk", "sparse_file"),
    Doing("fill the disk", "zip_bomb"),
    Doing(
        "fill the disk",
        "tiny_files",
        REFUSED,
        "BUDGET",
        tells_in_test=False,
        settings=("sandbox.disk_bytes=2000000000",),
    ),
    Doing("names and depth", "deep_folders", EITHER),
    Doing("names and depth", "deeper_than_a_path", REFUSED, "PATCH-2"),
    Doing("names and depth", "long_names", EITHER),
    Doing("names and depth", "names", REFUSED, "PATH-8"),
    Doing("print without end", "gigabyte", tells=False),
    Doing("print without end", "endless_line", tells=False),
    Doing("terminal escapes", "escapes", quick=True),
    Doing("invalid UTF-8 and NUL", "broken_text"),
    Doing("hostile JSON lines", "nested_json", tells=False),
    Doing("prompt injection", "persuasion"),
    Doing("ignore SIGTERM", "ignore_signals", REFUSED, "did not end within", False, False, ENDLESS),
    Doing("kill parent or group", "kill_parent", REFUSED, "signal", False),
    Doing("kill parent or group", "kill_group", REFUSED, "signal", False, False),
    Doing("kill parent or group", "kill_everybody", REFUSED, "signal|did not end", False, False, quick=True),
    Doing("kill parent or group", "stop_group", REFUSED, "did not end within", False, False, ENDLESS),
    Doing("keep a daemon alive", "leave_daemons", quick=True),
    Doing("keep a daemon alive", "nohup"),
    Doing("git configuration and hooks", "git_folder", quick=True),
    Doing("git configuration and hooks", "git_elsewhere", EITHER, in_test=False),
    Doing("git configuration and hooks", "nested_repository", REFUSED, "nested repository"),
    Doing("attributes and filters", "attributes", EITHER),
    Doing("links", "links", REFUSED, "PATH-5"),
    Doing("links", "links_at_once", EITHER),
    Doing("FIFOs, devices, sockets", "fifos", REFUSED, "PATCH-2"),
    Doing("FIFOs, devices, sockets", "devices", EITHER),
    Doing("FIFOs, devices, sockets", "sockets", REFUSED, "PATCH-2"),
    Doing("permissions taken away", "no_permissions", EITHER),
    Doing("rules that allow themselves", "own_rules", REFUSED, "PATH-2"),
    Doing("read secrets", "secrets", quick=True),
    Doing("look for hidden tests", "hidden_tests", quick=True),
    Doing("the runner's files", "runner_files"),
    Doing("write outside", "outside_files", EITHER, quick=True),
    Doing("other processes", "processes"),
    Doing("connect out", "connections", quick=True),
    Doing("connect out", "raw_sockets"),
)
QUICK_TESTS = frozenset({"fork_many", "leave_daemons", "secrets"})
TEST_SETTINGS = ("evidence.test_timeout_s=4", "evidence.timeout_s.tier_3=40")


def act_cases() -> Iterator[Case]:
    """Each act once or twice."""
    for doing in DOINGS:
        yield Case(
            item=doing.item,
            name=doing.act,
            role="worker",
            act=doing.act,
            script=REPAIR,
            settings=doing.settings,
            ends=doing.ends,
            says=doing.says,
            tried=doing.tells,
            quick=doing.quick,
        )
        if doing.in_test:
            yield Case(
                item=doing.item,
                name=doing.act,
                role="test",
                act=doing.act,
                settings=(*doing.settings, *TEST_SETTINGS),
                ends=EITHER,
                tried=doing.tells and doing.tells_in_test,
                quick=doing.act in QUICK_TESTS,
            )
