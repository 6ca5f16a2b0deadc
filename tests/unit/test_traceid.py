"""Ids that every process computes alike."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.system import SystemIds
from councilor.domain.traceid import began_ns_of, span_id_of, trace_id_of, traceparent

TASK = "01936f2e-7c00-7abc-8def-0123456789ab"


def test_a_task_s_trace_has_its_uuid_for_an_id():
    assert trace_id_of(TASK) == "01936f2e7c007abc8def0123456789ab"
    assert UUID(trace_id_of(TASK)) == UUID(TASK)


def test_a_task_s_id_says_when_its_trace_begins():
    clock = FakeClock()
    task_id = SystemIds(clock=clock).new()
    assert began_ns_of(task_id) == int(clock.now().timestamp() * 1000) * 1_000_000
    assert began_ns_of(str(uuid4())) is None
    assert began_ns_of("no uuid") is None


@given(st.text())
def test_every_id_gives_a_valid_trace(task_id):
    trace_id = trace_id_of(task_id)
    assert len(trace_id) == 32
    assert int(trace_id, 16) != 0
    assert trace_id == trace_id_of(task_id)


def test_zero_is_no_trace():
    assert int(trace_id_of("00000000-0000-0000-0000-000000000000"), 16) != 0


def test_each_span_of_a_trace_has_an_id_of_its_own():
    trace_id = trace_id_of(TASK)
    names = ["", "prepare", "work:1", "work:2", "deliberate:1", "deliberate:1:2", "finish"]
    found = {span_id_of(trace_id, name) for name in names}
    assert len(found) == len(names)
    assert all(len(span_id) == 16 and int(span_id, 16) for span_id in found)
    assert span_id_of(trace_id, "work:1") != span_id_of(trace_id_of(str(uuid4())), "work:1")


@pytest.mark.parametrize(("trace_id", "span_id"), [("", "a" * 16), ("b" * 32, ""), ("", "")])
def test_nothing_is_handed_on_where_nothing_is_traced(trace_id, span_id):
    assert traceparent(trace_id, span_id) == ""


def test_traceparent_is_as_the_recommendation_has_it():
    assert traceparent("b" * 32, "a" * 16) == f"00-{'b' * 32}-{'a' * 16}-01"
