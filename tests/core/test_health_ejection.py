"""What ejects a provider, what passes an ejection, and what is reported of both."""

from __future__ import annotations

import threading

from llm_mesh_middleware._core.provider.health import ProviderHealth
from llm_mesh_middleware._core.provider.outlier_detection import OutlierDetection
from llm_mesh_middleware._core.provider.outliers import HealthChange, Result
from tests.core.health import call, eject, health, taken
from tests.rows import rows


def failed(provider: ProviderHealth, body: bytes, result: Result = "failure") -> None:
    lease = provider.lease(0.0, body=body)
    assert lease is not None
    lease.end(result, 0.0)


@rows("result", ["failure", "rate_limited"])
@rows("times", [5, 6, 500])
def test_one_request_that_fails_again_and_again_ejects_nobody(result: Result, times: int) -> None:
    provider = health()
    for _ in range(times):
        failed(provider, b'{"messages":["provokes it"]}', result)
    assert provider.status(0.0).state == "healthy"


@rows("result", ["failure", "rate_limited"])
@rows("other", [0, 1, 4])
def test_two_different_requests_among_the_failures_eject(result: Result, other: int) -> None:
    provider = health()
    for number in range(5):
        assert provider.status(0.0).state == "healthy"
        failed(provider, b"other" if number == other else b"one", result)
    assert provider.status(0.0).state == "ejected"


def test_a_different_request_before_the_last_success_does_not_count() -> None:
    provider = health(consecutive_failures=2)
    failed(provider, b"one")
    call(provider, "success", 0.0)
    for _ in range(9):
        failed(provider, b"other")
    assert provider.status(0.0).state == "healthy"


def test_failed_connections_eject_whatever_was_to_be_sent() -> None:
    provider = health()
    for _ in range(5):
        failed(provider, b"one", "unreachable")
    assert provider.status(0.0).state == "ejected"


@rows("result", ["failure", "unreachable", "rate_limited"])
def test_no_failures_allowed_in_a_row_switches_ejection_off(result: Result) -> None:
    provider = health(consecutive_failures=0)
    for _ in range(50):
        call(provider, result, 0.0)
    assert provider.status(0.0).state == "healthy"
    assert not provider.is_closed(0.0)


def test_a_forced_call_passes_an_ejection_and_neither_ends_nor_lengthens_it() -> None:
    provider = health()
    eject(provider, 0.0)
    for result in ("failure", "success", "rate_limited", "cancelled"):
        lease = provider.lease(1.0, is_forced=True)
        assert lease is not None
        assert not lease.is_probe
        lease.end(result, 1.0)  # type: ignore[arg-type]
    assert provider.available_in_s(1.0) == 4.0
    assert provider.lease(5.0) is not None


def test_a_forced_call_waits_for_a_slot_like_any_other() -> None:
    provider = health(max_concurrency=1)
    eject(provider, 0.0)
    first = provider.lease(1.0, is_forced=True)
    assert first is not None
    assert provider.lease(1.0, is_forced=True) is None
    place = provider.queue()
    first.end("success", 1.0)
    assert place.lease(1.0) is None
    assert place.lease(1.0, is_forced=True) is not None


def test_a_forced_call_is_the_probe_if_one_is_due() -> None:
    provider = health()
    eject(provider, 0.0)
    lease = provider.lease(5.0, is_forced=True)
    assert lease is not None
    assert lease.is_probe


def test_a_provider_that_cannot_be_reached_is_closed_until_its_ejection_is_over() -> None:
    provider = health()
    for _ in range(5):
        call(provider, "unreachable", 0.0)
    assert provider.is_closed(0.0)
    assert provider.opens_in_s(1.0) == 4.0


def test_a_provider_that_answers_is_not_closed() -> None:
    provider = health()
    for _ in range(4):
        call(provider, "unreachable", 0.0)
    call(provider, "failure", 0.0)  # the last one was answered
    assert provider.status(0.0).state == "ejected"
    assert not provider.is_closed(0.0)


@rows(("now", "is_closed"), [(0.0, True), (29.9, True), (30.0, False)])
@rows("result", ["failure", "rate_limited"])
def test_a_provider_is_closed_until_its_retry_after_is_over(
    result: Result, now: float, is_closed: bool
) -> None:
    provider = health()
    for _ in range(5):
        call(provider, result, 0.0, 30.0)
    assert provider.is_closed(now) is is_closed
    assert provider.opens_in_s(now) == 30.0 - now


def test_a_provider_that_is_in_service_is_never_closed() -> None:
    provider = health()
    call(provider, "rate_limited", 0.0, 60.0)
    call(provider, "unreachable", 0.0)
    assert not provider.is_closed(0.0)


def test_a_forced_call_closes_the_provider_if_it_fails_to_connect_and_opens_it_if_it_succeeds() -> (
    None
):
    provider = health()
    eject(provider, 0.0)
    for result, is_closed in (("unreachable", True), ("success", False)):
        lease = provider.lease(1.0, is_forced=True)
        assert lease is not None
        lease.end(result, 1.0)  # type: ignore[arg-type]
        assert provider.is_closed(1.0) is is_closed


def test_every_ejection_and_every_return_is_reported_once() -> None:
    changes: list[HealthChange] = []
    provider = ProviderHealth(OutlierDetection(), None, threading.Lock(), changes.append)
    leases = [taken(provider, 0.0) for _ in range(20)]
    for lease in leases:
        lease.end("failure", 0.0, cause="answered 500")
    taken(provider, 5.0).end("unreachable", 5.0, cause="refused")
    taken(provider, 15.0).end("success", 15.0)
    call(provider, "success", 15.0)
    assert changes == [
        HealthChange(True, 5.0, "5 failures in a row, the last: answered 500"),
        HealthChange(True, 10.0, "a probe failed: refused"),
        HealthChange(False, 15.0, "its probes succeeded"),
    ]
