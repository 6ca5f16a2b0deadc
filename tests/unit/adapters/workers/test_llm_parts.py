"""The parts of the `llm` worker by themselves: limits, what is left out of a history, circles, the transcript."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.workers.llm.budget import Budget
from councilor.adapters.workers.llm.history import History
from councilor.adapters.workers.llm.repeats import ENDED, TOLD, Repeats
from councilor.adapters.workers.llm.tools import FORMS, BadCallError, check_call, recorded
from councilor.adapters.workers.llm.transcript import WHOLE_BYTES, Transcript
from councilor.adapters.workers.llm.workbench import ToolResult
from councilor.domain.secret import Secrets
from councilor.domain.worker import ModelUse
from councilor.ports.chat import Spent
from councilor.ports.conversation import Message, Role, ToolCall


def use(**more: Any) -> ModelUse:
    return ModelUse(endpoint="http://127.0.0.1:1/v1", **more)


def call(name: str = "read_file", arguments: Any = None) -> ToolCall:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    return ToolCall(id="c", name=name, arguments=text)


def test_no_limit_is_exceeded_by_more_than_one_answer() -> None:
    budget = Budget(use=use(max_total_tokens=10_000, max_tokens=500))
    while not budget.exceeded(prompt_tokens=1000):
        answer = budget.answer_tokens(prompt_tokens=1000)
        assert 1 <= answer <= 500
        budget.turns += 1
        budget.add(Spent(prompt_tokens=1000, completion_tokens=answer))
    assert 9000 <= budget.tokens <= 10_000


def test_cost_is_counted_by_three_prices_and_ends_in_time() -> None:
    priced = use(max_cost_usd=0.01, price_input_usd=2.0, price_output_usd=8.0, price_cached_usd=0.2)
    budget = Budget(use=priced)
    budget.add(Spent(prompt_tokens=1000, cached_tokens=500, completion_tokens=100))
    assert budget.cost_usd == pytest.approx((500 * 2 + 500 * 0.2 + 100 * 8) / 1e6)
    assert budget.exceeded(prompt_tokens=1000) == ""
    assert "0.01 US dollars" in budget.exceeded(prompt_tokens=50_000)
    assert Budget(use=use()).cost_usd == 0


def long_history(limit_tokens: int, *, results: int = 20) -> History:
    history = History(system="s" * 400, order="o" * 400, limit_tokens=limit_tokens, tools_characters=400)
    for number in range(results):
        asked = ToolCall(id=f"c{number}", name="edit_file", arguments=json.dumps({"path": "a", "new": "n" * 1000}))
        history.add(Message(role=Role.ASSISTANT, text="t" * 600, calls=(asked,)))
        history.add(Message(role=Role.TOOL, text=f"{number} " + "r" * 4000, call_id=asked.id))
    return history


def test_what_fits_is_left_as_it_is() -> None:
    history = long_history(100_000)
    before = history.messages
    assert history.fit()
    assert history.messages == before


@pytest.mark.parametrize("limit", [25_000, 12_000, 7000])
def test_the_oldest_is_shortened_first_and_the_same_way_each_time(limit: int) -> None:
    history, again = long_history(limit), long_history(limit)
    assert history.fit()
    assert again.fit()
    assert history.messages == again.messages
    assert history.tokens <= limit
    assert history.messages[0] == long_history(limit).messages[0]
    assert history.messages[1].text.startswith("o" * 400)
    sizes = [len(item.text) for item in history.messages if item.role is Role.TOOL]
    assert sizes[0] < 400
    assert sizes == sorted(sizes)
    for item in history.messages:
        assert all(isinstance(json.loads(one.arguments), dict) for one in item.calls)
    kept = history.messages
    assert history.fit()
    assert history.messages == kept, "a prefix that a server has read stays the same"


def test_the_oldest_turns_go_as_a_whole_in_the_end_and_no_result_loses_its_call() -> None:
    history = long_history(3000)
    assert history.fit()
    assert "oldest turns are left out" in history.messages[1].text
    asked = {one.id for item in history.messages for one in item.calls}
    answered = {item.call_id for item in history.messages if item.role is Role.TOOL}
    assert asked == answered
    assert "c19" in asked
    assert 0 < len(asked) < 20


def test_what_cannot_be_made_to_fit_is_said() -> None:
    assert not long_history(500).fit()


def test_the_estimate_follows_what_the_server_counts() -> None:
    history = long_history(100_000)
    before = history.tokens
    history.learn(before * 2)
    assert history.tokens == pytest.approx(before * 2, rel=0.01)
    history.lower()
    assert history.fit()
    assert history.tokens < before * 2 * 0.7


def test_circles_are_told_and_end_and_progress_is_none() -> None:
    repeats = Repeats()
    notes = [repeats.did(call(), ToolResult(text="same")) for _ in range(ENDED)]
    assert [bool(note) for note in notes] == [False] * (TOLD - 1) + [True] * (ENDED - TOLD + 1)
    assert "read_file" in repeats.over

    alternating = Repeats()
    for _ in range(ENDED):
        alternating.did(call(arguments={"path": "a"}), ToolResult(text="1"))
        alternating.did(call(arguments={"path": "b"}), ToolResult(text="2"))
    assert alternating.over

    working = Repeats()
    for number in range(50):
        working.did(call("edit_file", {"path": str(number)}), ToolResult(text="ok", changed=True))
        working.did(call("run", {"command": "pytest"}), ToolResult(text="1 failed", failed=True))
    assert not working.over


def test_what_cannot_be_understood_ends_only_in_a_row() -> None:
    repeats = Repeats()
    for number in range(20):
        repeats.could_not()
        repeats.said_only()
        repeats.did(call(arguments={"path": str(number)}), ToolResult(text=str(number)))
    assert not repeats.over


def test_the_transcript_is_bounded_and_its_end_always_fits(tmp_path: Path) -> None:
    transcript = Transcript(
        file=tmp_path / "t.jsonl", secrets=Secrets(values={"A_KEY": "sk-secret-1"}), clock=FakeClock()
    )
    for _ in range(200):
        transcript.note("result", text="sk-secret-1" + "x" * 200_000)
    transcript.end(outcome="failed", ended="sk-secret-1")
    lines = transcript.content.splitlines()
    assert len(transcript.content) < WHOLE_BYTES + 1000
    assert b"sk-secret-1" not in transcript.content
    assert b"[A_KEY]" in lines[0]
    assert json.loads(lines[-1])["lines_left_out"] > 100
    assert (tmp_path / "t.jsonl").read_bytes() == transcript.content


def test_a_full_disk_costs_the_file_only() -> None:
    transcript = Transcript(file=Path("/dev/full"), secrets=Secrets(), clock=FakeClock())
    transcript.note("order", text="do it")
    assert b"do it" in transcript.content


def test_arguments_may_come_as_models_write_them() -> None:
    given_arguments = {"path": "a", "start_line": "3", "lines": 5.0, "regex": None}
    with pytest.raises(BadCallError, match="no argument 'nonsense'"):
        check_call(call(arguments={"path": "a", "nonsense": 1}))
    given_arguments.pop("regex")
    assert check_call(call(arguments=given_arguments)) == {"path": "a", "start_line": 3, "lines": 5}
    assert check_call(call("search", {"text": "a", "regex": "True", "path": None})) == {"text": "a", "regex": True}
    assert check_call(call("list_files", "")) == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = [form.name for form in FORMS]


@given(
    name=st.sampled_from(NAMES) | st.text(max_size=80),
    arguments=st.text(max_size=50)
    | st.dictionaries(st.sampled_from(["path", "lines", "old", "all"]) | st.text(), JSON),
)
@settings(max_examples=150, deadline=None)
def test_every_call_is_either_understood_or_refused_and_can_be_recorded(name: str, arguments: Any) -> None:
    asked = call(name, arguments)
    try:
        understood = check_call(asked)
    except BadCallError as error:
        assert str(error)
    else:
        "".join(value for value in understood.values() if isinstance(value, str)).encode()
    kept = recorded(asked)
    assert isinstance(json.loads(kept.arguments), dict)
    assert 1 <= len(kept.name) <= 64
    assert kept.name.isascii()
