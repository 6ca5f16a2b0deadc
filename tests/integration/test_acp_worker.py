"""An agent that speaks the Agent Client Protocol, in the real sandbox: one on the official SDK, kind and unkind."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from modelhosts import model_server
from workbench import interpreter, make_assignment, make_workspace

from councilor.adapters.system import SystemClock
from councilor.adapters.workers.acp import AcpWorker
from councilor.domain.worker import WorkerOutcome, WorkerProfile, WorkerReport
from councilor.errors import InputError, MissingExtraError
from councilor.ports.sandbox import Sandbox
from councilor.ports.worker import Progress

SUPPORT = Path(__file__).parents[1] / "support"
AGENT, RAW = SUPPORT / "acpagent.py", SUPPORT / "acpraw.py"
SDK = frozenset({"repair", "prompt", "outside", "polite"})
"""What the agent on the SDK does; the rest does one without."""
PROMPT = "Repair it.\nÜmläute"
SHOP = "def total(prices):\n    return max(prices)\n"


class Bench:
    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.progress: list[Progress] = []
        self.workspace = make_workspace(folder, interpreter(SUPPORT))
        (self.workspace.folder / "shop.py").write_text(SHOP)

    @property
    def files(self) -> set[str]:
        return {file.name for file in self.workspace.folder.iterdir()}

    async def run(
        self, *mode: str, env: dict[str, str] | None = None, initialize_s: float = 30.0, **more: Any
    ) -> WorkerReport:
        agent = (str(AGENT),) if mode[0] in SDK else ("-I", "-S", str(RAW))
        worker = AcpWorker(
            profile=WorkerProfile(
                name="agent", kind="acp", command=(sys.executable, *agent, *mode), **{"timeout_s": 30.0} | more
            ),
            sandbox=self.sandbox,
            host_env={"PATH": os.environ["PATH"], "SECRET_OF_THE_HOST": "do not show", **(env or {})},
            home=self.workspace.scratch,
            clock=SystemClock(),
            initialize_s=initialize_s,
            cancel_s=1.0 if mode[0] in SDK else 0.2,
            linger_s=0.2,
            messages=10_000,
        )
        assignment = make_assignment(
            prompt=PROMPT, scope_in=("shop.py", "src"), scope_out=("src/vendored",), scope_free=("notes",)
        )
        return await worker.run(assignment, self.workspace, self.progress.append)


@pytest.fixture
def bench(tmp_path: Path, sandbox: Sandbox) -> Bench:
    return Bench(tmp_path, sandbox)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Any:
    """Nothing that an agent does makes the SDK write to our log."""
    yield
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_it_reads_asks_and_writes_through_us(bench: Bench) -> None:
    report = await bench.run("repair", "shop.py", "max", "sum")
    assert report.outcome is WorkerOutcome.FINISHED, (report.ended, report.transcript.decode())
    assert (bench.workspace.folder / "shop.py").read_text() == SHOP.replace("max", "sum")
    assert report.text == "I fixed it.\nOnly `shop.py` was changed."
    assert (report.ended, report.usage.turns, report.usage.tokens, report.usage.cost_usd) == ("", 1, 123, 0.25)
    said = report.transcript.decode()
    for line in (
        "thought: Where may it be?",
        "I look at it.",
        "tool: edit Edit",
        "councilor: permission given: edit edit it",
        "in scope",
        "councilor: file written: shop.py",
    ):
        assert line in said
    assert bench.progress[0].line.startswith("started ")
    assert bench.progress[-1].line == "Only `shop.py` was changed."
    assert bench.progress[-1].cost_usd == 0.25


async def test_it_gets_the_prompt_and_only_its_credentials(bench: Bench) -> None:
    report = await bench.run("prompt", credentials=("API_KEY",), env={"API_KEY": "sk-secret-1", "OTHER": "sk-other"})
    assert (bench.workspace.folder / "got").read_text() == PROMPT
    env = json.loads((bench.workspace.folder / "env").read_text())
    assert env["API_KEY"] == "sk-secret-1"
    assert not {"SECRET_OF_THE_HOST", "OTHER", "COUNCILOR_CHANNEL"} & set(env)
    assert report.text == "key [API_KEY] red"
    assert b"on standard error" in report.transcript
    kept = report.transcript.decode() + "".join(item.line for item in bench.progress)
    assert "sk-secret-1" not in kept


async def test_what_it_edits_by_itself_is_there(bench: Bench) -> None:
    report = await bench.run("edit")
    assert report.outcome is WorkerOutcome.FINISHED
    assert (bench.workspace.folder / "shop.py").read_text() == "edited = True\n"
    assert report.text == "", "it said nothing"


OUTSIDE = {
    "other.py": "SCOPE-1",
    "src/vendored/a.py": "SCOPE-2",
    ".git/config": "PATH-1",
    ".caws/policy.yaml": "PATH-2",
    "../escaped": "not a file of the workspace",
    "/etc/passwd": "not a file of the workspace",
}
UNSAFE = ("src/link/passwd", "src/fifo", "src/link")
ALLOWED = ("src/new/deep.py", "notes/today")


async def test_nothing_but_its_own_is_allowed_and_served(bench: Bench) -> None:
    report = await bench.run("outside", *OUTSIDE, *UNSAFE, *ALLOWED)
    assert report.outcome is WorkerOutcome.FINISHED, (report.ended, report.transcript.decode())
    answers = json.loads((bench.workspace.folder / "answers").read_text())
    for path, reason in OUTSIDE.items():
        assert answers[f"edit {path}"] == "no"
        assert reason in answers[f"write {path}"]
        assert answers[f"read {path}"].startswith("refused")
    for path in UNSAFE:
        assert answers[f"write {path}"].startswith("refused")
        assert answers[f"read {path}"].startswith("refused")
    for path in ALLOWED:
        assert answers[f"edit {path}"] == "once"
        assert (answers[f"write {path}"], answers[f"read {path}"]) == ("done", "mine")
        assert (bench.workspace.folder / path).read_text() == "mine"
    for path, reason in (("src/big", "larger than"), ("src/odd", "not UTF-8")):
        assert reason in answers[f"read {path}"]
    assert (answers["fetch"], answers["execute"]) == ("no", "once")
    assert answers["terminal"].startswith("refused")
    assert not {"other.py", ".caws", ".git"} & bench.files
    assert not (bench.workspace.folder.parent / "escaped").exists()
    assert "permission refused: edit edit it [other.py]: 'other.py' is not in scope.in (SCOPE-1)" in (
        report.transcript.decode()
    )


async def test_only_model_hosts_can_be_reached(bench: Bench) -> None:
    async with model_server() as allowed, model_server() as other:
        report = await bench.run("fetch", f"http://{allowed}/", f"http://{other}/", model_hosts=(allowed,))
    assert report.outcome is WorkerOutcome.FINISHED, report.ended
    assert report.text == "hello\nHTTPError"


async def test_lines_of_a_file(bench: Bench) -> None:
    assert (await bench.run("lines")).text == "return max(prices)"


@pytest.mark.parametrize(
    ("reason", "outcome", "ended"),
    [
        ("max_tokens", WorkerOutcome.FAILED, "it reached its limit of tokens"),
        ("max_turn_requests", WorkerOutcome.FAILED, "it reached its limit of requests to the model"),
        ("refusal", WorkerOutcome.GAVE_UP, "it refused to go on"),
        ("cancelled", WorkerOutcome.FAILED, "it cancelled its turn"),
    ],
)
async def test_every_reason_to_stop_is_told(bench: Bench, reason: str, outcome: WorkerOutcome, ended: str) -> None:
    report = await bench.run("stop", reason)
    assert (report.outcome, report.ended, report.text) == (outcome, ended, "So far.")


@pytest.mark.parametrize(
    ("mode", "ended"),
    [
        (("silent",), "it did not answer `initialize` within 0.5 s"),
        (("mute",), "it did not answer `initialize` within 0.5 s"),
        (("version",), "it speaks version 7 of the protocol, councilor version 1"),
        (("sign_in",), "it wants to be signed in first, and offers 'browser', 'key'"),
        (("again",), "it asked for the same permission more than 25 times: edit edit it [shop.py]"),
        (("exit",), "it ended before its turn was over, exit code 3"),
        (("odd",), "its answer to `session/prompt` is none"),
        (("impatient",), "it asked for the same permission more than 25 times"),
        (("crash",), "it answered `session/prompt` with the error -32603"),
        (("flood",), "it sent more than 10000 messages"),
        (("nonsense",), "more than 1000 lines of its standard output were no messages"),
        (("oversize",), "it ended before its turn was over"),
    ],
)
async def test_a_broken_agent_comes_to_a_clear_end(bench: Bench, mode: tuple[str, ...], ended: str) -> None:
    started = time.monotonic()
    report = await bench.run(*mode, initialize_s=0.5 if mode[0] in {"silent", "mute"} else 30.0)
    assert report.outcome is WorkerOutcome.FAILED
    assert ended in report.ended
    assert time.monotonic() - started < 20
    assert len(report.transcript) <= 16 * 2**20
    assert len(bench.progress) < 100


async def test_it_is_signed_in_where_it_asks_for_that(bench: Bench) -> None:
    secret = {"credentials": ("API_KEY",), "env": {"API_KEY": "sk-secret-1"}}
    report = await bench.run("sign_in", sign_in="key", **secret)
    assert report.outcome is WorkerOutcome.FINISHED, report.ended
    report = await bench.run("sign_in", sign_in="browser", **secret)
    assert (report.outcome, report.ended) == (
        WorkerOutcome.FAILED,
        "it answered `authenticate` with the error 1: no key",
    )


async def test_an_error_that_repeats_the_key_tells_neither_key_nor_escapes(bench: Bench) -> None:
    report = await bench.run("echo", credentials=("API_KEY",), env={"API_KEY": "sk-ant-0123456789"})
    assert report.ended.endswith("xxx key [API_KEY]")
    assert report.ended.isprintable()
    assert report.text == report.ended


async def test_figures_beyond_all_sense_are_none(bench: Bench) -> None:
    report = await bench.run("dear")
    assert (report.outcome, report.usage.tokens, report.usage.cost_usd) == (WorkerOutcome.FINISHED, 0, 0.0)


async def test_a_path_that_cannot_be_written_down_is_refused(bench: Bench) -> None:
    report = await bench.run("unspeakable")
    assert "is not a path of a file" in report.text


async def test_lines_that_are_no_messages_do_no_harm(bench: Bench) -> None:
    report = await bench.run("garbage")
    assert (report.outcome, report.text) == (WorkerOutcome.FINISHED, "Still here.")
    assert b"hello\n" in report.transcript


async def test_out_of_time_it_is_told_first(bench: Bench) -> None:
    report = await bench.run("polite", timeout_s=4.0)
    assert report.outcome is WorkerOutcome.TIMED_OUT
    assert "did not end within" in report.ended
    assert "told" in bench.files
    assert report.usage.tokens == 123


async def test_one_that_hears_nothing_is_killed_with_its_children(bench: Bench) -> None:
    report = await bench.run("stubborn", timeout_s=2.0)
    assert report.outcome is WorkerOutcome.TIMED_OUT
    await _nothing_beats(bench)


async def test_one_that_stays_when_it_is_done_is_ended(bench: Bench) -> None:
    report = await bench.run("linger")
    assert (report.outcome, report.ended) == (WorkerOutcome.FINISHED, "")
    assert report.usage.duration_s < 10


@pytest.mark.parametrize(("mode", "sign"), [("polite", "begun"), ("stubborn", "beat")])
async def test_cancelling_tells_it_and_ends_everything(bench: Bench, mode: str, sign: str) -> None:
    task = asyncio.create_task(bench.run(mode))
    while sign not in bench.files:
        await asyncio.sleep(0.02)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 5
    if mode == "polite":
        assert "told" in bench.files
    await _nothing_beats(bench)


async def _nothing_beats(bench: Bench) -> None:
    beat = bench.workspace.folder / "beat"
    last = beat.read_text() if beat.exists() else ""
    await asyncio.sleep(0.2)
    assert (beat.read_text() if beat.exists() else "") == last


@pytest.mark.parametrize(
    ("more", "message"),
    [({"credentials": ("NOT_SET",)}, "NOT_SET"), ({"folders": ("~/.missing",)}, ".missing")],
)
async def test_what_is_missing_is_told_before_anything_runs(bench: Bench, more: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        await bench.run("edit", **more)
    assert bench.progress == []


async def test_without_the_extra_it_says_what_to_install(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "acp", None)
    with pytest.raises(MissingExtraError) as caught:
        await bench.run("edit")
    assert "councilor[acp]" in caught.value.hint()
