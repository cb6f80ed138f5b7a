"""A request that continues a response goes to the provider that keeps it."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from llm_mesh_middleware._core.caching.entry import Found, Lookup, Save
from llm_mesh_middleware._core.flow.affinity import Affinity
from llm_mesh_middleware._core.flow.attempts.context import ExchangeSettings
from llm_mesh_middleware._core.flow.exchange import exchange
from llm_mesh_middleware._core.flow.state import MeshState
from llm_mesh_middleware._core.provider.identity import ProviderIdentity
from llm_mesh_middleware._core.values.messages import Failure
from llm_mesh_middleware._core.values.steps import Ask, Send, StepResult, Steps
from llm_mesh_middleware._engine.ports.memory import MemoryStore
from llm_mesh_middleware._engine.ports.memory_cache import MemoryCache
from llm_mesh_middleware.exceptions import ClientDisconnected, UpstreamConnectError
from tests.core.scripted import JSON, SSE, Clock, Notes, Play, head
from tests.core.tables import ACME, GLOBEX, provider, request, route, table, virtual_host
from tests.rows import rows

HALVES = f"""
- backendRefs:
  - {{providerHost: {ACME}, weight: 50}}
  - {{providerHost: {GLOBEX}, weight: 50}}
"""
ROUTES = table(provider(ACME), provider(GLOBEX), route(HALVES))
TO_ACME, TO_GLOBEX = 0.0, 0.9


@dataclass
class Process:
    """What remembers between requests."""

    state: MeshState = field(default_factory=lambda: MeshState(threading.Lock, MemoryStore()))
    clock: Clock = field(default_factory=Clock)

    def ask(
        self, *answers: StepResult, chance: float, path: str = "/v1/responses", **body: object
    ) -> Play:
        """One request; `chance` is what the weights are drawn with."""
        steps = exchange(
            virtual_host(ROUTES),
            request(path=path, body=json.dumps({"input": "hi", **body})),
            ExchangeSettings(),
            self.state,
            clock=self.clock,
            wall_clock=self.clock,
            random=lambda: chance,
            observation=Notes(),
        )
        return Play(steps, self.clock, Notes()).perform(*answers)

    def goes_to(self, chance: float, **body: object) -> str:
        return self.ask(chance=chance, **body).sent.endpoint.provider_host


def whole(name: str) -> list[StepResult]:
    body = {"id": name, "object": "response", "status": "completed", "output": []}
    return [head(200, JSON), json.dumps(body).encode(), b""]


def events(name: str) -> list[bytes]:
    response = {"id": name, "object": "response", "output": []}
    told = [
        {"type": kind, "response": response} for kind in ("response.created", "response.completed")
    ]
    return [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in told]


@rows("first", [TO_ACME, TO_GLOBEX])
@rows("then", [TO_ACME, TO_GLOBEX])
def test_a_follow_up_goes_where_a_whole_response_came_from(first: float, then: float) -> None:
    process = Process()
    begun = process.ask(*whole("resp_1"), chance=first)
    assert begun.reply is not None
    assert process.goes_to(then, previous_response_id="resp_1") == begun.sent.endpoint.provider_host


def test_a_follow_up_goes_where_a_stream_came_from() -> None:
    process, (created, completed) = Process(), events("resp_2")
    begun = process.ask(head(200, SSE), created, chance=TO_GLOBEX, stream=True)
    begun.read(completed, b"")
    assert process.goes_to(TO_ACME, previous_response_id="resp_2") == GLOBEX


@rows("body", [{}, {"previous_response_id": "resp_9"}, {"previous_response_id": 1}])
def test_other_requests_are_drawn_by_weight(body: dict[str, object]) -> None:
    process = Process()
    process.ask(*whole("resp_1"), chance=TO_GLOBEX)
    assert process.goes_to(TO_ACME, **body) == ACME


def test_a_response_is_forgotten_after_a_day() -> None:
    process = Process()
    process.ask(*whole("resp_1"), chance=TO_GLOBEX)
    process.clock.now += 24 * 3600 + 1
    assert process.goes_to(TO_ACME, previous_response_id="resp_1") == ACME


def test_where_its_provider_is_down_there_is_a_fallback() -> None:
    process = Process()
    process.ask(*whole("resp_1"), chance=TO_GLOBEX)
    down = Failure(UpstreamConnectError(f"{GLOBEX}: refused"))
    played = process.ask(down, chance=TO_ACME, previous_response_id="resp_1")
    hosts = [
        step.request.endpoint.provider_host for step in played.taken if hasattr(step, "request")
    ]
    assert hosts == [GLOBEX, ACME]


def done(steps: Steps, *answers: StepResult) -> Any:
    """Run steps to their end; return what they return."""
    given = iter(answers)
    try:
        next(steps)
        while True:
            steps.send(next(given))
    except StopIteration as stop:
        return stop.value


def test_what_is_remembered_is_bounded() -> None:
    affinity, acme = Affinity(), ProviderIdentity("default", "acme", ACME, "")
    for number in range(20_000):
        done(affinity.remember("route", f"resp_{number}", acme, 0.0))
    done(affinity.remember("route", "x" * 10**6, acme, 0.0))
    assert len(affinity._responses) == 16 * 1024
    assert max(map(len, affinity._responses)) == 32
    assert done(affinity.recall("route", "resp_0", 1.0)) is None
    assert done(affinity.recall("route", "resp_19999", 1.0)) == "default/acme"
    assert done(affinity.recall("other", "resp_19999", 1.0)) is None


def sharing() -> Process:
    return Process(MeshState(threading.Lock, MemoryStore(), responses=MemoryCache()))


def test_other_processes_are_told_before_the_client_has_the_response() -> None:
    process, (created, completed) = sharing(), events("resp_3")
    noted = process.ask(head(200, SSE), created, chance=TO_GLOBEX, stream=True)
    step = noted.taken[-1]
    assert isinstance(step, Ask)
    assert isinstance(step.request, Save)
    assert noted.reply is None
    noted.perform(None)
    assert noted.reply is not None
    assert noted.read(completed, b"") == [created, completed]


def test_a_client_that_leaves_meanwhile_leaves_nothing_behind() -> None:
    process, (created, _) = sharing(), events("resp_3")
    noted = process.ask(head(200, SSE), created, chance=TO_GLOBEX, stream=True)
    with pytest.raises(ClientDisconnected):
        noted.steps.throw(ClientDisconnected("the client went away"))
    statuses = process.state.health.statuses(process.clock())
    assert {status.in_flight for status in statuses.values()} == {0}


def test_what_another_process_noted_is_asked_for_once() -> None:
    process = sharing()
    for _ in range(2):
        played = process.ask(chance=TO_ACME, previous_response_id="resp_4")
        (step,) = played.taken
        if isinstance(step, Ask):
            assert isinstance(step.request, Lookup)
            played.perform(Found(b"default/globex", 60.0))
        assert isinstance(played.taken[-1], Send)
        assert played.taken[-1].request.endpoint.provider_host == GLOBEX
    assert len(played.taken) == 1


@pytest.mark.parametrize("answer", [None, Found(b"default/gone", 1.0), Found(b"\xff", 1.0)])
def test_what_the_store_does_not_know_is_drawn_by_weight(answer: Found | None) -> None:
    played = sharing().ask(answer, chance=TO_GLOBEX, previous_response_id="resp_5")
    assert isinstance(played.taken[-1], Send)
    assert played.taken[-1].request.endpoint.provider_host == GLOBEX
