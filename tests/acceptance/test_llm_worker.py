"""A whole task on a real library with a model as the worker: a local server speaks the protocol, the model a script.

`pytest -s tests/acceptance/test_llm_worker.py` shows what it took. No real model is run here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from commandline import CommandLine
from journey import BUG, FIX, TOTAL, branches, git
from journey import make_repository as make_shop
from libraries import LIBRARIES, make_repository
from library import IndexUnreachableError
from scripted import repairing
from toolserver import Say, serving_tools

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
LIBRARY = next(library for library in LIBRARIES if library.name == "humanize")


def options(folder: Path, endpoint: str) -> tuple[str, str]:
    worker = {"kind": "llm", "endpoint": endpoint, "model": "qwen2.5-coder", "timeout_s": 300.0}
    config = folder / "house.yaml"
    config.write_text(yaml.safe_dump({"run": {"worker": "house"}, "workers": {"house": worker}}))
    return "--config", str(config)


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_a_model_repairs_a_real_library_and_a_wrong_repair_is_refused(
    right: bool, workplace: tuple[CommandLine, Path], service_missing: Callable[[str], None]
) -> None:
    councilor, folder = workplace
    try:
        repository = make_repository(LIBRARY, folder / LIBRARY.name)
    except IndexUnreachableError as error:
        service_missing(str(error))
    tests = [part for nodeid in LIBRARY.tests for part in ("--test", nodeid)]
    new = LIBRARY.right if right else LIBRARY.wrong
    with serving_tools(repairing(LIBRARY.path, LIBRARY.bug, new, LIBRARY.tests)) as server:
        began = time.monotonic()
        printed = councilor.finish(
            *options(folder, server.endpoint), "run", f"Repair {LIBRARY.path}", "-C", repository, *tests,
            "--iterations", "1", "--json", timeout_s=500,
        )  # fmt: skip
        took_s = time.monotonic() - began
    assert server.refused == []
    print(f"\n{LIBRARY.requirement}: {printed.data['decision']} after {len(server.asked)} turns, {took_s:.0f} s")
    assert "exit code 1" in server.results()[2], "the tests run where the model works, and fail first"
    assert "exit code 0" in server.results()[4], "the model has every reason to think that it is done"
    if right:
        printed.expect(0)
        assert (printed.data["state"], printed.data["decision"]) == ("completed", "accept")
        assert git(repository, "diff", "--name-only", "main", printed.data["branch"]) == LIBRARY.path
    else:
        assert printed.code in {1, 3}, printed.out + printed.err
        assert printed.data["decision"] != "accept"


def test_a_process_that_is_killed_in_a_turn_goes_on_when_it_is_resumed(workplace: tuple[CommandLine, Path]) -> None:
    councilor, folder = workplace
    shop = make_shop(folder / "shop")
    model, asked, dead = repairing("shop.py", BUG, FIX, [TOTAL]), threading.Event(), threading.Event()

    def brain(request: Mapping[str, Any]) -> Say:
        if len(request["messages"]) > 6 and not dead.is_set():
            asked.set()
            return Say("I am think", hang_after=500)
        return model(request)

    with serving_tools(brain) as server:
        config = options(folder, server.endpoint)
        with councilor.start(*config, "run", "Repair the total", "-C", shop, "--test", TOTAL, "--json") as process:
            assert asked.wait(120)
            process.kill()
            process.communicate(timeout=60)
        dead.set()
        resumed = councilor.finish(*config, "run", "--resume", "last", "--json", timeout_s=200).expect(0)
    assert server.refused == []
    assert resumed.data["decision"] == "accept"
    assert branches(shop) == [resumed.data["branch"], "main"]
    begun = [request for request in server.asked if len(request["messages"]) == 2]
    assert len(begun) == 2, "the iteration that was killed is begun anew, and only once"
