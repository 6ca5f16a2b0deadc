"""How checks come to a whole: laws that hold for every set of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from councilor.domain.health import Check, Health, HealthStatus, Observation

FAIL, PASS, WARN = HealthStatus.FAIL, HealthStatus.PASS, HealthStatus.WARN
NOW = datetime(2026, 1, 1, tzinfo=UTC)

checks = st.builds(
    Check,
    component=st.sampled_from(["database", "redis", "disk"]),
    status=st.sampled_from(HealthStatus),
    output=st.sampled_from(["", "no answer"]),
    fallback=st.sampled_from([None, "memory serves instead"]),
)
observations = st.lists(st.builds(Observation, check=checks, time=st.just(NOW), age_s=st.just(0.0)), max_size=8)


def seen(*found: Check) -> list[Observation]:
    return [Observation(check=check, time=NOW, age_s=0.0) for check in found]


def make_check(status: HealthStatus, fallback: str | None = None) -> Check:
    return Check(component="redis", status=status, output="no answer", fallback=fallback)


def test_nothing_to_look_at_is_well():
    assert Health.of([]).status is PASS


def test_a_failure_with_a_fallback_is_a_warning_that_names_it():
    check = make_check(FAIL, "memory serves instead")
    health = Health.of(seen(check))
    assert (health.status, health.serves, list(health.failing)) == (WARN, True, [])
    assert check.told == "no answer; memory serves instead"


def test_a_failure_without_one_fails_the_whole_and_is_named():
    health = Health.of(seen(make_check(PASS), make_check(FAIL), make_check(WARN)))
    assert (health.status, health.serves, list(health.failing)) == (FAIL, False, ["redis"])


def test_levels_are_those_of_the_gauge():
    assert {status: status.level for status in HealthStatus} == {PASS: 1, WARN: 0.5, FAIL: 0}


@given(observations, checks)
def test_one_more_check_never_makes_it_better(found, check):
    before, after = Health.of(found), Health.of([*found, *seen(check)])
    assert after.status.rank >= before.status.rank


@given(observations)
def test_one_failure_without_a_fallback_is_enough(found):
    assert Health.of([*found, *seen(make_check(FAIL))]).status is FAIL


@given(observations)
def test_with_fallbacks_for_everything_it_always_serves(found):
    covered = [replace(item, check=replace(item.check, fallback="another")) for item in found]
    assert Health.of(covered).serves


@given(observations, st.randoms())
def test_order_does_not_matter(found, random):
    shuffled = list(found)
    random.shuffle(shuffled)
    assert Health.of(shuffled).status is Health.of(found).status


@given(observations)
def test_it_is_as_good_as_its_worst(found):
    health = Health.of(found)
    assert health.status in {PASS, *(item.check.standing for item in found)}
    assert health.serves == (list(health.failing) == [])


@given(checks)
def test_what_failed_measures_nothing_and_keeps_its_fallback(check):
    failed = replace(check, measurement="latency", observed=1.0, unit="s").failed("gone", "from /there")
    assert (failed.status, failed.observed, failed.measurement) == (FAIL, None, "")
    assert (failed.component, failed.fallback, failed.detail) == (check.component, check.fallback, "from /there")
