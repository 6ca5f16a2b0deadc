"""A model as a worker: a real sandbox, a real HTTP server, and a model that follows a script, well or badly."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from llmbench import DONE, KEY, Bench, make_bench, use
from toolserver import Call, Say, serving_tools, then

from councilor.domain.worker import WorkerOutcome
from councilor.errors import InputError
from councilor.guards.standstill import Standstill, standing_still
from councilor.ports.sandbox import Sandbox


@pytest.fixture
def bench(tmp_path: Path, sandbox: Sandbox) -> Bench:
    return make_bench(tmp_path, sandbox)


async def test_it_reads_edits_runs_and_finishes(bench: Bench) -> None:
    report = await bench.say(
        Say("I look.", [Call("list_files"), Call("read_file", {"path": "shop.py"})], usage=(1000, 50), cached=400),
        use("search", text="sum("),
        use("edit_file", action="replace", path="shop.py", old="sum(prices) + 1", new="sum(prices)"),
        use("run", command='python -c "import shop; print(shop.total([1, 2]))"'),
        use("finish", report="`total` no longer adds 1."),
        price_input_usd=2.0,
        price_output_usd=10.0,
        price_cached_usd=0.5,
    )
    assert (report.outcome, report.ended) == (WorkerOutcome.FINISHED, "")
    assert report.text == "`total` no longer adds 1."
    assert (bench.folder / "shop.py").read_text() == "def total(prices):\n    return sum(prices)\n"
    assert bench.server is not None
    assert bench.server.refused == []
    told = bench.server.results()
    assert "shop.py (46 bytes)" in told[0]
    assert ".git" not in told[0]
    assert "     2\t    return sum(prices) + 1" in told[1]
    assert "shop.py:2: return sum(prices) + 1" in told[2]
    assert "exit code 0\n3" in told[4]
    assert report.usage.turns == 5
    assert report.usage.tokens == 1050 + 4 * 120
    assert report.usage.cost_usd == pytest.approx((600 * 2 + 400 * 0.5 + 50 * 10 + 4 * (100 * 2 + 20 * 10)) / 1e6)
    assert report.usage.duration_s > 0
    lines = [json.loads(line) for line in report.transcript.splitlines()]
    assert [line["kind"] for line in lines[:4]] == ["begin", "system", "order", "answer"]
    assert lines[-1]["kind"] == "end"
    assert (bench.workspace.scratch / "transcript-1.jsonl").read_bytes() == report.transcript


@pytest.mark.parametrize(
    ("said", "changes", "ended"),
    [
        (use("read_file", path="shop.py"), {}, "the same call of read_file 6 times"),
        (use("run", command="date +%N"), {}, "the same call of run 6 times"),
        (use("fly", to="the moon"), {}, "5 of its calls in a row could not be understood"),
        (Say(calls=[Call("read_file", "{")]), {}, "5 of its calls in a row could not be understood"),
        (Say("I would read the file."), {}, "3 of its answers in a row called no tool"),
        (Say(""), {}, "3 of its answers in a row called no tool"),
        (Say("and then", finish_reason="length"), {}, "3 of its answers in a row called no tool"),
    ],
    ids=["same call", "same command", "unknown tool", "broken arguments", "talk", "silence", "cut off"],
)
async def test_going_round_in_circles_ends(bench: Bench, said: Say, changes: dict[str, Any], ended: str) -> None:
    report = await bench.say(said, **changes)
    assert report.outcome is WorkerOutcome.FAILED
    assert ended in report.ended
    assert report.text
    assert json.loads(report.transcript.splitlines()[-1])["ended"] == report.ended


async def test_a_repeated_call_is_told_before_it_ends(bench: Bench) -> None:
    report = await bench.say(*[use("read_file", path="shop.py")] * 3, DONE)
    assert report.outcome is WorkerOutcome.FINISHED
    assert bench.server is not None
    assert "You have made this same call 3 times" in bench.server.results()[-1]


async def test_a_repeated_test_run_between_changes_is_no_circle(bench: Bench) -> None:
    said = []
    for number in range(8):
        said.append(use("edit_file", action="create", path=f"src/n{number}.py", new=""))
        said.append(use("run", command="ls src | wc -l"))
    report = await bench.say(*said, DONE)
    assert report.outcome is WorkerOutcome.FINISHED, report.ended


@pytest.mark.parametrize(
    ("changes", "ended", "turns"),
    [
        ({"max_turns": 2}, "limit of 2 turns", 2),
        ({"max_total_tokens": 9000}, "limit of 9000 tokens", 2),
        (
            {"max_cost_usd": 0.01, "price_input_usd": 1.0, "price_output_usd": 1.0},
            "limit of 0.01 US dollars",
            2,
        ),
    ],
)
async def test_limits_are_checked_before_each_turn(
    bench: Bench, changes: dict[str, Any], ended: str, turns: int
) -> None:
    counted = iter(range(100))

    def brain(_: Any) -> Say:
        return Say("I go on.", [Call("run", {"command": f"echo {next(counted)}"})], usage=(3900, 100))

    report = await bench.run(brain, **changes)
    assert report.outcome is WorkerOutcome.FAILED
    assert ended in report.ended
    assert report.usage.turns == turns
    assert report.text == "I go on."
    assert report.usage.tokens <= 9000


async def test_a_model_is_told_when_its_turns_are_nearly_over(bench: Bench) -> None:
    await bench.say(use("list_files"), use("list_files", pattern="*.py"), DONE, max_turns=5)
    assert bench.server is not None
    first, second = bench.server.results()
    assert "Turns that are left" not in first
    assert second.endswith("Turns that are left: 3. Finish before they are over.")


async def test_its_time_is_over(bench: Bench) -> None:
    began = time.monotonic()
    report = await bench.say(use("run", command="echo begun; sleep 60"), timeout_s=1.5)
    assert report.outcome is WorkerOutcome.TIMED_OUT
    assert "did not end within 2 s" in report.ended
    assert time.monotonic() - began < 20, "the command takes a minute"
    report = await bench.say(Say(hang_after=-1), timeout_s=0.5, idle_timeout_s=60.0, call_timeout_s=60.0)
    assert report.outcome is WorkerOutcome.TIMED_OUT


BAD_ENDPOINTS = {
    "hangs": (Say(hang_after=-1), "nothing came for 0.5 s"),
    "hangs midway": (Say("hello", hang_after=300), "nothing came for 0.5 s"),
    "breaks off": (Say("hello" * 50, cut_after=900), "broke off"),
    "garbage": (Say(body=b"\xff\xfe\x00garbage\n\n"), "no event stream"),
    "html": (Say(body=b"<html>\n\n"), "no event stream"),
    "500": (Say(status=500), "it answered 500"),
    "429": (Say(status=429, headers={"Retry-After": "0"}), "it answered 429"),
    "429 for long": (Say(status=429, headers={"Retry-After": "3600"}), "it answered 429"),
    "401": (Say(status=401, body=b"who are you"), "refused the call with 401: who are you"),
    "404": (Say(status=404, body=b"no such model"), "refused the call with 404: no such model"),
    "redirect": (Say(status=307, headers={"Location": "http://127.0.0.1:1/"}), "redirects are not followed"),
    "flood": (Say(flood_bytes=4 * 2**20), "a line of it has more than"),
    "filter": (Say("no", finish_reason="content_filter"), "content_filter"),
    "refusal": (Say(refusal="I will not"), "the model refused: I will not"),
    "too long": (Say(status=400, body=b"maximum context length is 10 tokens"), "too long"),
}


@pytest.mark.parametrize("name", BAD_ENDPOINTS)
async def test_a_bad_endpoint_is_a_report(bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("councilor.adapters.openai.wire.PAUSE_S", 0.001)
    said, ended = BAD_ENDPOINTS[name]
    idle_timeout_s = 0.5 if "hangs" in name else 20.0  # those that answer may be slow on a loaded machine
    report = await bench.say(use("run", command="echo first"), said, idle_timeout_s=idle_timeout_s)
    assert report.outcome is WorkerOutcome.FAILED
    assert ended in report.ended
    assert report.text
    assert report.usage.turns >= 2
    assert report.usage.tokens >= 120
    kinds = [json.loads(line)["kind"] for line in report.transcript.splitlines()]
    assert kinds[-2:] == ["result", "end"]


async def test_an_endpoint_that_recovers_is_gone_on_with(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("councilor.adapters.openai.wire.PAUSE_S", 0.001)
    report = await bench.say(Say(status=503), Say("x", cut_after=100), use("list_files"), Say(status=429), DONE)
    assert report.outcome is WorkerOutcome.FINISHED


async def test_giving_up_is_the_models_own_word(bench: Bench) -> None:
    report = await bench.say(use("finish", report="I cannot do it: no such function.", done=False))
    assert (report.outcome, report.text) == (WorkerOutcome.GAVE_UP, "I cannot do it: no such function.")


async def test_the_key_is_sent_and_never_kept(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    report = await bench.say(
        Say(f"My key is {KEY}.", [Call("run", {"command": f"echo {KEY}"})]),
        Say(f"My key is {KEY}."),
        use("finish", report=f"The key is {KEY}."),
        serving={"key": KEY},
        api_key_env="A_KEY",
        env={"A_KEY": KEY, "OTHER": "other-secret"},
    )
    assert report.outcome is WorkerOutcome.FINISHED, report.ended
    kept = repr(report) + repr(bench.progress) + caplog.text
    kept += "".join(file.read_text() for file in bench.workspace.scratch.glob("*.jsonl"))
    assert KEY not in kept
    bad = await bench.say(
        Say(status=401, body=f"bad key {KEY}".encode()), serving={"key": KEY}, api_key_env="A_KEY", env={"A_KEY": KEY}
    )
    assert bad.outcome is WorkerOutcome.FAILED
    assert KEY not in repr(bad)


async def test_a_missing_key_or_folder_is_told_before_anything_is_sent(bench: Bench) -> None:
    with serving_tools(then(DONE)) as server:
        for changes, field_name in (
            ({"api_key_env": "NO_KEY"}, "api_key_env"),
            ({"folders": ("/nowhere",)}, "folders"),
        ):
            with pytest.raises(InputError) as caught:
                await bench.worker(server.endpoint, **changes).run(bench.assignment(), bench.workspace, print)
            assert caught.value.field == field_name
        assert server.asked == []


async def test_old_results_are_shortened_when_the_context_is_full(bench: Bench) -> None:
    for number in range(12):
        (bench.folder / "src" / f"big{number}.py").write_text(f"# number {number}\n" + "x = 1\n" * 1500)
    said = [use("read_file", path=f"src/big{number}.py") for number in range(12)]
    report = await bench.say(*[Say(calls=one.calls, usage=None) for one in said], DONE, context_tokens=16_000)
    assert report.outcome is WorkerOutcome.FINISHED, report.ended
    assert bench.server is not None
    assert bench.server.refused == []
    sizes = [len(json.dumps(request["messages"])) for request in bench.server.asked]
    assert max(sizes) < 16_000 * 5
    last = bench.server.results()
    assert "older characters were left out here" in last[0]
    assert "older characters were left out here" not in last[-1]
    assert "number 11" in last[-1]


async def test_a_context_smaller_than_was_said_is_learnt(bench: Bench) -> None:
    for number in range(6):
        (bench.folder / "src" / f"big{number}.py").write_text("x = 1\n" * 1000)
    said = iter([use("read_file", path=f"src/big{number}.py") for number in range(6)])

    def brain(request: Any) -> Say:
        if len(json.dumps(request["messages"])) > 40_000:
            return Say(status=400, body=b'{"error": {"code": "context_length_exceeded"}}')
        return next(said, DONE)

    report = await bench.run(brain)
    assert report.outcome is WorkerOutcome.FINISHED, report.ended


async def test_an_order_that_does_not_fit_ends_before_a_call(bench: Bench) -> None:
    with serving_tools(then(DONE)) as server:
        worker = bench.worker(server.endpoint, context_tokens=300)
        report = await worker.run(bench.assignment(), bench.workspace, bench.progress.append)
        assert server.asked == []
    assert "no longer fits" in report.ended


@pytest.mark.parametrize("said", [Say("hello", hang_after=300), use("run", command="sleep 60")], ids=["call", "run"])
async def test_cancelling_ends_it_within_a_second(bench: Bench, said: Say) -> None:
    with serving_tools(then(said)) as server:
        worker = bench.worker(server.endpoint, idle_timeout_s=30.0, command_timeout_s=60.0)
        task = asyncio.create_task(worker.run(bench.assignment(), bench.workspace, bench.progress.append))
        while not server.asked or (said.calls and not any(item.phase == "run" for item in bench.progress)):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 3  # a second, and two for a loaded machine
    kept = (bench.workspace.scratch / "transcript-1.jsonl").read_text().splitlines()
    assert json.loads(kept[-1])["outcome"] == "cancelled"


async def test_heartbeats_carry_turns_tokens_cost_and_the_last_line(bench: Bench) -> None:
    await bench.say(
        Say("Ich sehe nach.", [Call("run", {"command": "echo one; sleep 0.4; echo two; sleep 0.4"})]),
        DONE,
        price_input_usd=1.0,
        price_output_usd=2.0,
    )
    phases = [item.phase for item in bench.progress]
    assert phases[0] == "asking"
    assert "run" in phases
    assert any(item.line == "two" for item in bench.progress)
    last = bench.progress[-1]
    assert (last.phase, last.done, last.total) == ("ended", 2, 60)
    assert last.tokens >= 120
    assert last.cost_usd == pytest.approx(2 * (100 + 40) / 1e6)
    assert all(len(item.line) <= 200 and "\n" not in item.line for item in bench.progress)


@pytest.mark.slow
async def test_a_paused_model_is_asked_nothing_and_runs_nothing_and_its_time_stands(bench: Bench) -> None:
    run = Standstill()
    ticking = "for n in 1 2 3 4 5 6 7 8; do echo $n >> ticks; sleep 0.1; done"
    with standing_still(run):
        working = asyncio.create_task(bench.say(use("run", command=ticking), DONE, timeout_s=6.0))
    ticks = bench.folder / "ticks"
    async with asyncio.timeout(20):
        while not ticks.exists():
            await asyncio.sleep(0.02)
    run.stop()
    await asyncio.sleep(0.5)
    before = ticks.read_text()
    await asyncio.sleep(6.0)
    assert ticks.read_text() == before and not working.done()
    assert bench.server is not None and len(bench.server.asked) == 1
    run.go()
    report = await working
    assert (report.outcome, ticks.read_text().split()[-1]) == (WorkerOutcome.FINISHED, "8")
