"""One provider's health: ejection, growth, probes, return, and what says nothing about it."""

from __future__ import annotations

from llm_mesh_middleware._core.provider.outliers import Result
from tests.core.health import call, eject, health, taken
from tests.rows import rows


@rows("result", ["failure", "rate_limited"])
@rows("limit", [1, 2, 5])
def test_so_many_failures_in_a_row_eject_and_not_one_sooner(result: Result, limit: int) -> None:
    provider = health(consecutive_failures=limit)
    for _ in range(limit - 1):
        call(provider, result, 10.0)
        assert provider.status(10.0).state == "healthy"
    call(provider, result, 10.0)
    assert provider.status(10.0).state == "ejected"
    assert provider.status(10.0).ejected_for_s == 5.0
    assert provider.lease(14.999) is None


def test_rate_limits_and_failures_are_counted_apart() -> None:
    provider = health()
    for _ in range(4):
        call(provider, "failure", 1.0)
        call(provider, "rate_limited", 1.0)
    status = provider.status(1.0)
    assert (status.consecutive_failures, status.consecutive_rate_limits) == (4, 4)
    assert status.state == "healthy"
    call(provider, "rate_limited", 1.0)
    assert provider.status(1.0).state == "ejected"


def test_a_success_ends_the_row() -> None:
    provider = health()
    for _ in range(20):
        for _ in range(4):
            call(provider, "failure", 1.0)
        call(provider, "success", 1.0)
    assert provider.status(1.0).consecutive_failures == 0
    assert provider.status(1.0).state == "healthy"


def test_failures_further_apart_than_the_interval_are_not_in_a_row() -> None:
    provider = health(interval_s=30.0)
    for number in range(20):
        call(provider, "failure", number * 30.1)
    assert provider.status(600.0).consecutive_failures == 1
    for number in range(4):
        call(provider, "failure", 601.0 + number * 29.9)
    assert provider.status(691.0).state == "ejected"


def test_a_cancelled_call_says_nothing() -> None:
    provider = health()
    for _ in range(4):
        call(provider, "failure", 1.0)
    call(provider, "cancelled", 1.0)
    assert provider.status(1.0).consecutive_failures == 4
    call(provider, "failure", 1.0)
    assert provider.status(1.0).state == "ejected"


def test_ejections_that_follow_closely_double_up_to_the_longest() -> None:
    provider = health(base_ejection_s=5.0, max_ejection_s=60.0)
    now, lengths = 0.0, [eject(provider, 0.0)]
    for _ in range(5):
        now += lengths[-1]
        call(provider, "failure", now)  # the probe
        lengths.append(provider.available_in_s(now))
    assert lengths == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]


def test_a_provider_that_is_dead_for_a_week_stays_at_the_longest_ejection() -> None:
    provider = health(base_ejection_s=1.0, max_ejection_s=60.0)
    now = 0.0
    eject(provider, now)
    for _ in range(10_000):
        now += provider.available_in_s(now)
        call(provider, "failure", now)
    assert provider.available_in_s(now) == 60.0
    assert provider.status(now).in_flight == 0


def test_back_for_longer_than_it_was_out_the_growth_is_forgotten() -> None:
    provider = health()
    eject(provider, 0.0)
    call(provider, "failure", 5.0)
    call(provider, "success", 15.0)
    assert provider.status(15.0).state == "healthy"
    call(provider, "success", 24.9)  # it was out for ten seconds
    assert provider.status(24.9).ejections == 2
    call(provider, "success", 25.1)
    assert provider.status(25.1).ejections == 0
    assert eject(provider, 26.0) == 5.0


def test_a_relapse_soon_after_the_return_goes_on_where_it_stopped() -> None:
    provider = health()
    eject(provider, 0.0)
    call(provider, "success", 5.0)
    assert eject(provider, 6.0) == 10.0


@rows(
    ("result", "wish_s", "out_s"),
    [
        ("failure", 0.0, 5.0),
        ("failure", 3.0, 5.0),
        ("failure", 17.0, 17.0),
        ("failure", 1e64, 300.0),
        ("rate_limited", 0.0, 5.0),
        ("rate_limited", 3.0, 3.0),
        ("rate_limited", 17.0, 17.0),
        ("rate_limited", float("inf"), 300.0),
    ],
)
def test_a_wish_lengthens_an_ejection_and_is_the_ejection_where_only_the_rate_is_limited(
    result: Result, wish_s: float, out_s: float
) -> None:
    provider = health()
    for _ in range(5):
        call(provider, result, 0.0, wish_s)
    assert provider.available_in_s(0.0) == out_s


def test_a_limited_rate_does_not_make_ejections_grow_unless_the_provider_is_silent() -> None:
    provider, now = health(), 0.0
    for _ in range(4):
        for _ in range(5):
            if provider.is_available(now):
                call(provider, "rate_limited", now, 2.0)
        assert provider.available_in_s(now) == 2.0
        now += 2.0
    call(provider, "rate_limited", now)
    assert provider.available_in_s(now) == 5.0
    call(provider, "rate_limited", now + 5.0)
    assert provider.available_in_s(now + 5.0) == 10.0


@rows("probes", [1, 2, 5])
def test_after_an_ejection_exactly_so_many_calls_may_probe(probes: int) -> None:
    provider = health(half_open_requests=probes)
    eject(provider, 0.0)
    assert provider.status(5.0).state == "half_open"
    leases = [provider.lease(5.0) for _ in range(probes + 3)]
    assert [lease is not None for lease in leases] == [True] * probes + [False] * 3
    assert all(lease.is_probe for lease in leases if lease is not None)


def test_it_is_back_only_when_every_probe_has_succeeded() -> None:
    provider = health(half_open_requests=3)
    eject(provider, 0.0)
    first, second, third = (taken(provider, 5.0) for _ in range(3))
    first.end("success", 5.1)
    second.end("success", 5.2)
    assert provider.status(5.2).state == "half_open"
    assert provider.lease(5.2) is None
    third.end("success", 5.3)
    assert provider.status(5.3).state == "healthy"


def test_one_failed_probe_ejects_again_whatever_the_others_bring() -> None:
    provider = health(half_open_requests=3)
    eject(provider, 0.0)
    first, second, third = (taken(provider, 5.0) for _ in range(3))
    first.end("success", 5.1)
    second.end("failure", 5.2)
    third.end("success", 5.3)
    assert provider.status(5.3).state == "ejected"
    assert provider.available_in_s(5.2) == 10.0


def test_a_rate_limited_probe_is_a_failed_one() -> None:
    provider = health()
    eject(provider, 0.0)
    call(provider, "rate_limited", 5.0)
    assert provider.status(5.0).state == "ejected"


def test_a_cancelled_probe_leaves_its_place_to_another() -> None:
    provider = health()
    eject(provider, 0.0)
    call(provider, "cancelled", 5.0)
    assert provider.status(5.0).state == "half_open"
    call(provider, "success", 5.0)
    assert provider.status(5.0).state == "healthy"


def test_calls_from_before_an_ejection_do_not_count_afterwards() -> None:
    provider = health()
    old = [taken(provider, 0.0) for _ in range(20)]
    for lease in old[:5]:
        lease.end("failure", 1.0)
    for lease in old[5:18]:
        lease.end("failure", 1.5)  # one wave of failures is one ejection
    assert provider.status(1.5).ejections == 1
    assert provider.available_in_s(1.0) == 5.0
    old[18].end("success", 2.0)
    assert provider.status(2.0).state == "ejected"
    call(provider, "success", 6.0)
    old[19].end("failure", 6.5)
    assert provider.status(6.5).consecutive_failures == 0
    assert provider.status(6.5).in_flight == 0


def test_a_lease_ends_once() -> None:
    provider = health()
    first, _second = taken(provider, 0.0), taken(provider, 0.0)
    for result in ("failure", "failure", "success", "cancelled"):
        first.end(result, 0.0)  # type: ignore[arg-type]
    status = provider.status(0.0)
    assert (status.in_flight, status.consecutive_failures) == (1, 1)
