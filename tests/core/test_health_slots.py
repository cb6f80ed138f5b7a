"""Calls at once to one provider: slots, and the queue for them."""

from __future__ import annotations

import threading

from tests.core.health import call, health, taken


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
