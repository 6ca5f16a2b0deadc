"""Several metrics backends at once: one that raises breaks neither another nor the caller."""

from __future__ import annotations

import pytest
from meters import BrokenMetrics

from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.system import SystemRandomness
from councilor.app.guarding import make_guarding
from councilor.errors import UnavailableError
from councilor.guards.fanout import Fanout
from councilor.ports.metrics import Labels
from councilor.settings import load_settings

LABELS = {"gate": "lint"}


class Flaky(RecordingMetrics):
    """Raises while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.works = False

    def counter(self, name: str, labels: Labels, v: float = 1) -> None:
        if not self.works:
            raise OSError("away")
        super().counter(name, labels, v)


@pytest.fixture
def recorder() -> RecordingMetrics:
    return RecordingMetrics()


@pytest.mark.parametrize("order", [("statsd", "prometheus"), ("prometheus", "statsd")])
def test_the_others_get_what_a_broken_one_did_not_take(recorder, order):
    backends = {"statsd": BrokenMetrics(), "prometheus": recorder}
    fanout = Fanout({name: backends[name] for name in order})
    for metrics, labels in ((fanout, LABELS), (fanout.bind(LABELS), {})):
        metrics.counter("v3.gate.seconds", labels, 2)
    fanout.gauge("v3.cache.entries", {}, 3)
    fanout.histogram("v3.council.consensus", {}, 4)
    assert recorder.value("v3.gate.seconds", gate="lint") == 4
    assert recorder.value("v3.cache.entries") == 3
    assert recorder.observations("v3.council.consensus") == [4]
    assert recorder.value("v3.metrics.failures", backend="statsd") == 4, "three calls, and one that could not be bound"


def test_all_of_them_broken_is_as_if_there_were_none():
    fanout = Fanout({"prometheus": BrokenMetrics(), "statsd": BrokenMetrics()})
    fanout.counter("v3.gate.seconds", LABELS)
    fanout.bind(LABELS).counter("v3.gate.seconds", {})


def test_trouble_is_told_when_it_begins_and_when_it_ends(recorder, caplog):
    flaky = Flaky()
    fanout = Fanout({"statsd": flaky, "prometheus": recorder})
    bound = fanout.bind(LABELS)
    for _ in range(5):
        fanout.counter("v3.gate.seconds", LABELS)
        bound.counter("v3.gate.seconds", {})
    flaky.works = True
    for _ in range(5):
        fanout.counter("v3.gate.seconds", LABELS)
    flaky.works = False
    fanout.counter("v3.gate.seconds", LABELS)
    told = [(record.message, record.backend) for record in caplog.records]
    begins, ends = ("a metrics backend fails", "statsd"), ("a metrics backend works again", "statsd")
    assert told == [begins, ends, begins]
    assert recorder.value("v3.metrics.failures", backend="statsd") == 11
    assert flaky.value("v3.gate.seconds") == 5


class Store:
    async def get(self) -> str:
        return "value"

    async def fail(self) -> None:
        raise UnavailableError("no", backend="store")


async def test_a_call_to_a_real_port_does_not_notice(recorder):
    clock, metrics = FakeClock(), Fanout({"statsd": BrokenMetrics(), "prometheus": recorder})
    guarding = make_guarding(load_settings(), clock=clock, metrics=metrics, randomness=SystemRandomness())
    store = guarding.around(Store(), port="artifacts", backend="store", default_s=1.0)
    assert await store.get() == "value"
    with pytest.raises(UnavailableError, match="no"):
        await store.fail()
    assert len(recorder.observations("v3.port.seconds", port="artifacts")) == 2
    assert recorder.value("v3.port.errors", error="unavailable") == 1
