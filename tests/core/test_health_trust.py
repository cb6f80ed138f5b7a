"""What a provider is trusted with: known to be good, on trial, and the news of it."""

from __future__ import annotations

import pytest

from llm_mesh_middleware._core.provider.outliers import Result
from tests.core.health import call, eject, health, taken


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
