"""One provider's health: ejection, growth, probes, return, and what says nothing about it."""

from __future__ import annotations

import threading

import pytest

from llm_mesh_middleware._core.health import Lease, OutlierDetection, ProviderHealth, Result


def health(max_concurrency: int | None = None, **detection: float) -> ProviderHealth:
    """A provider's health; five failures eject it for five seconds unless told otherwise."""
    return ProviderHealth(
        OutlierDetection(**detection),  # type: ignore[arg-type]
        max_concurrency,
        threading.Lock(),
    )


def call(provider: ProviderHealth, result: Result, now: float, wish_s: float = 0.0) -> None:
    """One call that ends at once."""
    taken(provider, now).end(result, now, retry_after_s=wish_s)


def taken(provider: ProviderHealth, now: float) -> Lease:
    lease = provider.lease(now)
    assert lease is not None
    return lease


def eject(provider: ProviderHealth, now: float) -> float:
    """Fail until it is out of service; how long it will be."""
    while provider.is_available(now):
        call(provider, "failure", now)
    return provider.available_in_s(now)


@pytest.mark.parametrize("result", ["failure", "rate_limited"])
@pytest.mark.parametrize("limit", [1, 2, 5])
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


@pytest.mark.parametrize(
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


@pytest.mark.parametrize("probes", [1, 2, 5])
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


def test_a_success_vouches_for_ten_seconds_or_until_the_next_failure() -> None:
    provider = health()
    assert not provider.is_known_good(0.0)
    call(provider, "success", 0.0)
    assert provider.is_known_good(9.9)
    assert not provider.is_known_good(10.1)
    call(provider, "success", 20.0)
    call(provider, "cancelled", 20.0)
    assert provider.is_known_good(20.0)


@pytest.mark.parametrize("result", ["failure", "rate_limited"])
def test_a_provider_that_failed_since_is_not_known_to_be_good(result: Result) -> None:
    provider = health()
    call(provider, "success", 0.0)
    call(provider, result, 0.1)
    assert not provider.is_known_good(0.1)


def test_an_ejected_provider_is_not_known_to_be_good_when_its_time_is_over() -> None:
    provider = health()
    call(provider, "success", 0.0)
    eject(provider, 0.1)
    assert provider.is_available(5.2)
    assert not provider.is_known_good(5.2)


def test_no_more_calls_than_there_are_slots() -> None:
    provider = health(max_concurrency=3)
    leases = [provider.lease(0.0) for _ in range(5)]
    assert [lease is not None for lease in leases] == [True, True, True, False, False]
    assert provider.status(0.0).in_flight == 3
    assert not provider.has_free_slot()


def test_a_slot_goes_to_the_first_in_the_queue_and_to_nobody_who_comes_later() -> None:
    provider, woken = health(max_concurrency=1), []
    running = taken(provider, 0.0)
    places = [provider.queue() for _ in range(3)]
    for number, place in enumerate(places):
        place.on_slot(lambda number=number: woken.append(number))
    for number, place in enumerate(places):
        assert place.lease(0.0) is None
        running.end("success", 0.0)
        assert woken == list(range(number + 1))
        assert provider.lease(0.0) is None  # a later call, before the woken one has come to run
        lease = place.lease(0.0)
        assert lease is not None
        place.leave()
        running = lease
    running.end("success", 0.0)
    assert provider.status(0.0).in_flight == 0
    assert provider.has_free_slot()


def test_who_leaves_the_queue_is_passed_over() -> None:
    provider, woken = health(max_concurrency=1), []
    running = taken(provider, 0.0)
    first, second = provider.queue(), provider.queue()
    first.on_slot(lambda: woken.append("first"))
    second.on_slot(lambda: woken.append("second"))
    first.leave()
    running.end("success", 0.0)
    assert woken == ["second"]


def test_a_slot_that_is_not_used_goes_to_the_next() -> None:
    provider, woken = health(max_concurrency=1), []
    running = taken(provider, 0.0)
    first, second = provider.queue(), provider.queue()
    second.on_slot(lambda: woken.append("second"))
    running.end("success", 0.0)
    assert woken == []
    first.leave()
    first.leave()
    assert woken == ["second"]
    second.leave()
    assert provider.status(0.0).in_flight == 0


def test_a_slot_that_came_free_before_the_queue_was_joined_is_there_at_once() -> None:
    provider, woken = health(max_concurrency=1), []
    place = provider.queue()
    place.on_slot(lambda: woken.append("now"))
    assert woken == ["now"]
    assert provider.lease(0.0) is None
    place.leave()
    assert provider.lease(0.0) is not None


def test_a_place_gives_no_lease_for_a_provider_ejected_in_the_meantime() -> None:
    provider = health(max_concurrency=1, consecutive_failures=1)
    running = taken(provider, 0.0)
    first, second = provider.queue(), provider.queue()
    running.end("failure", 0.0)
    assert first.lease(0.0) is None
    first.leave()
    assert second.lease(0.0) is None
    second.leave()
    assert provider.status(0.0).in_flight == 0
    assert taken(provider, 5.0).is_probe


def test_a_place_may_be_the_way_to_a_probe() -> None:
    provider = health(max_concurrency=1, consecutive_failures=1)
    call(provider, "failure", 0.0)
    place = provider.queue()
    lease = place.lease(5.0)
    assert lease is not None
    assert lease.is_probe


def test_slots_are_counted_right_under_threads() -> None:
    provider, most, seen = health(max_concurrency=4), [0], threading.Lock()

    def work() -> None:
        for _ in range(300):
            woken = threading.Event()
            place = provider.queue()
            place.on_slot(woken.set)
            assert woken.wait(10)
            lease = place.lease(0.0)
            place.leave()
            assert lease is not None
            with seen:
                most[0] = max(most[0], provider.status(0.0).in_flight)
            lease.end("success", 0.0)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most[0] <= 4
    assert provider.status(0.0).in_flight == 0


def test_a_provider_is_on_trial_while_calls_will_tell_more_and_nothing_speaks_against_it() -> None:
    provider = health()
    assert not provider.is_on_trial(0.0)
    first, second = taken(provider, 0.0), taken(provider, 0.0)
    assert provider.is_on_trial(0.0)
    first.end("cancelled", 0.0)
    assert provider.is_on_trial(0.0)
    second.end("success", 0.0)
    assert not provider.is_on_trial(0.0)


@pytest.mark.parametrize("result", ["failure", "rate_limited"])
def test_a_failure_speaks_against_a_provider_for_an_interval(result: Result) -> None:
    provider = health(interval_s=30.0)
    call(provider, result, 0.0)
    lease = taken(provider, 0.0)
    assert not provider.is_on_trial(30.0)
    assert provider.is_on_trial(30.1)
    lease.end("success", 31.0)


def test_an_ejected_provider_is_not_on_trial() -> None:
    provider = health()
    old = taken(provider, 0.0)
    eject(provider, 0.0)
    assert not provider.is_on_trial(1.0)
    probe = taken(provider, 5.0)
    assert not provider.is_on_trial(5.0)
    probe.end("success", 5.0)
    old.end("success", 5.0)


def test_a_begun_answer_vouches_for_the_provider_once() -> None:
    provider = health()
    stream = taken(provider, 0.0)
    stream.vouch(1.0)
    assert provider.is_known_good(1.0)
    assert not provider.is_on_trial(1.0)
    stream.vouch(50.0)
    assert not provider.is_known_good(50.0)
    assert provider.status(50.0).in_flight == 1
    stream.end("failure", 60.0)
    assert provider.status(60.0).consecutive_failures == 1
    assert provider.status(60.0).in_flight == 0


def test_a_begun_answer_is_no_success_yet() -> None:
    provider = health(consecutive_failures=2)
    call(provider, "failure", 0.0)
    stream = taken(provider, 0.0)
    stream.vouch(0.0)
    stream.end("failure", 1.0)
    assert provider.status(1.0).state == "ejected"
    probe = taken(provider, 6.0)
    probe.vouch(6.0)
    assert provider.status(6.0).state == "half_open"


def test_news_reach_everybody_who_listens_and_each_once() -> None:
    provider, woken = health(), []
    first, second, third = (taken(provider, 0.0) for _ in range(3))
    provider.on_news(lambda: woken.append("a"))
    provider.on_news(lambda: woken.append("b"))
    assert woken == []
    first.vouch(0.0)
    assert woken == ["a", "b"]
    provider.on_news(lambda: woken.append("c"))
    second.end("cancelled", 0.0)
    assert woken == ["a", "b", "c"]
    first.end("success", 0.0)
    third.end("success", 0.0)
    assert woken == ["a", "b", "c"]


def test_where_no_news_can_come_nobody_is_left_waiting() -> None:
    provider, woken = health(), []
    stream = taken(provider, 0.0)
    stream.vouch(0.0)
    provider.on_news(lambda: woken.append("now"))
    assert woken == ["now"]
