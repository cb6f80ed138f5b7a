"""Tokens that expire: who fetches them, who waits, and what a failure costs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

from llm_mesh_middleware._auth.oauth import FetchedToken
from llm_mesh_middleware._auth.renewed import Fetched, Renewed
from llm_mesh_middleware._core.provider.secrets import Secrets
from llm_mesh_middleware._core.values.endpoint import Endpoint
from llm_mesh_middleware._core.values.messages import Deadline, UpstreamRequest
from llm_mesh_middleware._core.values.steps import Await, Sleep, Step, StepResult
from llm_mesh_middleware.exceptions import CredentialUnavailable, UpstreamTimeout

DEADLINE = Deadline(0.0, "first_byte", 1.0, "acme.example")
FETCH = Sleep(0.0)  # what stands for the calls of a fetch


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Source:
    """Hands out numbered tokens that are valid for an hour, or fails."""

    def __init__(self) -> None:
        self.fetched = 0
        self.is_away = False

    def __call__(
        self, wall_clock: Callable[[], float], deadline: Deadline
    ) -> Generator[Step, StepResult, Fetched[str]]:
        yield FETCH
        self.fetched += 1
        if self.is_away:
            raise CredentialUnavailable("away")
        return Fetched(f"fetched-token-{self.fetched}", wall_clock() + 3600)


def finish(flow: Generator[Any, Any, str]) -> str:
    while True:
        try:
            flow.send(None)
        except StopIteration as stop:
            value: str = stop.value
            return value


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def token(source: Source) -> Renewed[str]:
    return Renewed(source, threading.Lock())


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_token_is_fetched_once_and_used_until_shortly_before_its_end(
    token: Renewed[str], source: Source, clock: Clock
) -> None:
    for now, wanted in ((1000, 1), (1000, 1), (4299, 1), (4300, 2), (4301, 2), (9000, 3)):
        clock.now = now
        assert finish(token.get(clock, DEADLINE)) == f"fetched-token-{wanted}"
    assert source.fetched == 3


def test_calls_that_come_during_the_first_fetch_wait_for_it(
    token: Renewed[str], source: Source, clock: Clock
) -> None:
    first, second, third = (token.get(clock, DEADLINE) for _ in range(3))
    assert next(first) is FETCH
    woken: list[int] = []
    for number, waiting in enumerate((second, third)):
        step = next(waiting)
        assert isinstance(step, Await)
        step.signal(lambda number=number: woken.append(number))
    assert finish(first) == "fetched-token-1"
    assert woken == [0, 1]
    assert [finish(second), finish(third)] == ["fetched-token-1"] * 2
    assert source.fetched == 1


def test_a_signal_that_comes_after_the_fetch_wakes_at_once(
    token: Renewed[str], clock: Clock
) -> None:
    first, second = token.get(clock, DEADLINE), token.get(clock, DEADLINE)
    next(first)
    step = next(second)
    finish(first)
    woken: list[bool] = []
    assert isinstance(step, Await)
    step.signal(lambda: woken.append(True))
    assert woken == [True]


def test_while_a_token_is_renewed_others_use_the_old_one(token: Renewed[str], clock: Clock) -> None:
    finish(token.get(clock, DEADLINE))
    clock.now += 3400
    renewing = token.get(clock, DEADLINE)
    assert next(renewing) is FETCH
    assert finish(token.get(clock, DEADLINE)) == "fetched-token-1"
    assert finish(renewing) == "fetched-token-2"


def test_a_token_that_cannot_be_renewed_is_used_while_it_is_valid(
    token: Renewed[str], source: Source, clock: Clock
) -> None:
    finish(token.get(clock, DEADLINE))
    source.is_away = True
    for later, fetched in ((3400, 2), (3401, 2), (3411, 3), (3599, 4)):
        clock.now = 1000.0 + later
        assert finish(token.get(clock, DEADLINE)) == "fetched-token-1"
        assert source.fetched == fetched
    clock.now = 4601.0
    with pytest.raises(CredentialUnavailable, match="away"):
        finish(token.get(clock, DEADLINE))
    source.is_away = False
    assert finish(token.get(clock, DEADLINE)) == "fetched-token-6"


def test_a_failure_is_shared_by_those_who_waited_for_it(
    token: Renewed[str], source: Source, clock: Clock
) -> None:
    source.is_away = True
    first, second = token.get(clock, DEADLINE), token.get(clock, DEADLINE)
    next(first)
    next(second)
    for flow in (first, second):
        with pytest.raises(CredentialUnavailable, match="away"):
            finish(flow)
    assert source.fetched == 1


def test_a_call_that_is_cancelled_while_it_fetches_leaves_the_fetch_to_others(
    token: Renewed[str], clock: Clock
) -> None:
    first, second = token.get(clock, DEADLINE), token.get(clock, DEADLINE)
    next(first)
    next(second)
    first.close()
    with pytest.raises(CredentialUnavailable, match="cancelled"):
        finish(second)
    assert finish(token.get(clock, DEADLINE)) == "fetched-token-1"


def test_who_waits_in_vain_is_told_of_the_deadline(token: Renewed[str], clock: Clock) -> None:
    first, second = token.get(clock, DEADLINE), token.get(clock, DEADLINE)
    next(first)
    next(second)
    with pytest.raises(UpstreamTimeout):
        finish(second)


def test_a_fetched_token_is_sent_and_learnt(token: Renewed[str], clock: Clock) -> None:
    endpoint = Endpoint("acme.example", "https", "acme.example", 443, "acme.example")
    request = UpstreamRequest(endpoint, "POST", "/", ((b"authorization", b"theirs"),), b"", 1.0)
    secrets = Secrets()
    credential = FetchedToken(token, secrets)
    flow = credential.apply(request, clock, DEADLINE)
    next(flow)
    with pytest.raises(StopIteration) as stopped:
        next(flow)
    assert stopped.value.value.headers == ((b"authorization", b"Bearer fetched-token-1"),)
    assert secrets.redact(b'"you sent fetched-token-1"') == b'"you sent ***"'
    assert Secrets() == secrets  # a token is no part of a configuration
