"""Every fault of `faults.py`, on a real server and real upstream sockets.

Through the event loop and through a thread for each request.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    FakeUpstream,
    RecordedRequest,
    Scripted,
    Stream,
    token_usage,
)
from tests.canaries import canary
from tests.contract.adapters import ADAPTERS, Adapter
from tests.contract.calling import Ask, Caller, Seen, seen
from tests.resilience.faults import (
    DOWN,
    EVENTS,
    FALLBACK_EVENTS,
    FALLBACK_USAGE,
    FALLBACK_WHOLE,
    FAULTS,
    WHOLE,
    Fault,
    refusal,
)
from tests.resilience.meshes import (
    FALLBACK,
    HOST,
    PRIMARY,
    Entry,
    Ledger,
    key_of,
    provider,
    route,
)

SECRET = f"Bearer {canary('of the client itself')}"


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def adapter(request: pytest.FixtureRequest) -> Iterator[Adapter]:
    with ExitStack() as stack:
        yield ADAPTERS[request.param](stack)


@dataclass
class World:
    """Both providers, and one mesh in front of them behind an adapter."""

    primary: FakeUpstream
    fallback: FakeUpstream
    serve: Callable[[Mesh], Caller]
    ledger: Ledger = field(default_factory=Ledger)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def start(
        self,
        detection: Mapping[str, object] | None = None,
        limit_s: float = 10.0,
        **rule: Any,
    ) -> None:
        retry = {"backoff": "20ms", **rule.pop("retry", {})}
        documents = (
            provider("primary", self.primary, outlierDetection=detection),
            provider("fallback", self.fallback, outlierDetection=detection),
            route(PRIMARY, FALLBACK, retry=retry, **rule),
        )
        settings = MeshSettings(first_byte_timeout=limit_s, idle_timeout=limit_s)
        self.primary.always(as_asked(Stream(EVENTS), Answer(body=WHOLE)))
        self.fallback.always(as_asked(Stream(FALLBACK_EVENTS), Answer(body=FALLBACK_WHOLE)))
        self._caller = self.serve(Mesh(documents, settings=settings, observer=self.ledger))

    def send(self, *, stream: bool) -> Seen:
        """One chat request; the client asks for its own token counts if it wants a stream."""
        text = f"Good morning, {next(self._numbers)}"  # no request repeats another
        body: dict[str, object] = {"messages": [{"role": "user", "content": text}]}
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return seen(self._caller(Ask(body, [("authorization", SECRET)], host=HOST)))

    @property
    def calls(self) -> list[tuple[str, RecordedRequest]]:
        """Every request that a provider has seen, in the order they came."""
        upstreams = (("primary", self.primary), ("fallback", self.fallback))
        calls = [(name, request) for name, one in upstreams for request in one.requests]
        return sorted(calls, key=lambda call: call[1].received_at)


def as_asked(stream: Stream, whole: Answer) -> Scripted:
    return lambda request: stream if request.json().get("stream") else whole


@pytest.fixture
def world(adapter: Adapter, primary: FakeUpstream, fallback: FakeUpstream) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(primary, fallback, lambda mesh: stack.enter_context(adapter.serve(mesh)))


CASES = [(fault, form) for fault in FAULTS for form in fault.forms]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "form"), CASES, ids=[f"{fault.name}, {form}" for fault, form in CASES]
)
def test_a_fault_is_survived_or_told_and_never_hidden(
    world: World, fault: Fault, form: str
) -> None:
    world.primary.script(*fault.primary)
    world.fallback.script(*fault.fallback)
    world.start(limit_s=fault.limit_s, **fault.rule)

    seen = world.send(stream=form == "stream")

    check_client(fault, form, seen)
    check_calls(fault, world.calls)
    (entry,) = world.ledger.entries
    check_observation(fault, entry, seen)
    assert seen.headers["x-llm-mesh-attempts"] == str(len(world.calls))


def check_client(fault: Fault, form: str, seen: Seen) -> None:
    """The client has a whole answer, or is told that it has none."""
    if isinstance(fault.sees, int):
        assert (seen.status, seen.code) == (fault.sees, fault.code)
        assert seen.headers["content-type"] == "application/json"
        assert {name: seen.headers.get(name) for name in fault.headers} == fault.headers
        if len(fault.calls) == 1:  # then the client's own SDK may do what it likes
            assert "x-should-retry" not in seen.headers
        return
    provider_name = "fallback" if fault.sees == "fallback" else "primary"
    assert seen.status == 200
    assert seen.headers["x-llm-mesh-provider"] == provider_name
    if fault.sees == "interrupted":
        *before, last = seen.body.removesuffix(b"\n\n").split(b"\n\n")
        assert len(before) >= 2
        assert [event + b"\n\n" for event in before] == fault.events[: len(before)]
        assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "stream_interrupted"
        assert b"[DONE]" not in seen.body
    elif form == "stream":
        events = FALLBACK_EVENTS if fault.sees == "fallback" else fault.events
        assert seen.body == b"".join(events)
    else:
        assert json.loads(seen.body) == (FALLBACK_WHOLE if fault.sees == "fallback" else WHOLE)


def check_calls(fault: Fault, calls: list[tuple[str, RecordedRequest]]) -> None:
    """Each attempt was made from nothing: key, path, model and headers are its provider's own."""
    assert "".join(name[0] for name, _ in calls) == fault.calls
    for name, request in calls:
        other = "primary" if name == "fallback" else "fallback"
        assert request.path == f"/{name}/v1/chat/completions"
        assert request.header("host") == f"{name}.example"
        assert request.header("authorization") == f"Bearer {key_of(name)}"
        assert request.json()["model"] == f"{name}-model"
        assert request.header(f"x-{name}") == "1"
        assert request.header(f"x-{other}") is None
        assert key_of(other) not in str(request.headers)
    bodies = [{k: v for k, v in request.json().items() if k != "model"} for _, request in calls]
    assert all(body == bodies[0] for body in bodies)


def check_observation(fault: Fault, entry: Entry, seen: Seen) -> None:
    """Told once of each attempt, of its answer and of the end; and of no usage but the client's."""
    names = {"p": "primary", "f": "fallback"}
    expected = ["selected"]
    for letter, answered in zip(fault.calls, fault.answered, strict=True):
        expected += [f"sending {names[letter]}", answered]
    assert entry.events == [*expected, f"ended {seen.status}"]
    assert tokens(entry) == fault.usage
    assert (entry.error is None) == fault.is_answered


def tokens(entry: Entry) -> tuple[int, int] | None:
    """What the exchange is to be billed for."""
    return entry.usage and (entry.usage.input_tokens, entry.usage.output_tokens)


def test_a_flapping_primary_is_neither_ejected_nor_seen_by_clients(world: World) -> None:
    world.primary.script(*[DOWN, as_asked(Stream(EVENTS), Answer(body=WHOLE))] * 6)
    world.start()
    answers = [world.send(stream=number % 3 == 0) for number in range(12)]
    assert {seen.status for seen in answers} == {200}
    assert "".join(name[0] for name, _ in world.calls) == "pfp" * 6
    assert [seen.headers["x-llm-mesh-attempts"] for seen in answers] == ["2", "1"] * 6
    assert sum(int(seen.headers["x-llm-mesh-attempts"]) for seen in answers) == len(world.calls)


def test_after_a_failover_only_what_was_delivered_is_accounted_for(world: World) -> None:
    """The failed attempts tell token counts too: of an error, and of an answer never delivered."""
    counted = {"error": {"message": "no", "code": "down"}, "usage": token_usage(1000, 1000)}
    cut = Cut(Answer(body=WHOLE | {"usage": token_usage(2000, 2000)}), at=0.99, how="reset")
    world.primary.script(Answer(503, body=counted), cut)
    world.start()
    for _ in range(2):
        assert json.loads(world.send(stream=False).body) == FALLBACK_WHOLE
    assert [tokens(entry) for entry in world.ledger.entries] == [FALLBACK_USAGE] * 2
    assert [entry.events.count("ended 200") for entry in world.ledger.entries] == [1, 1]


def test_an_ejected_primary_is_not_called_and_comes_back_after_a_probe(world: World) -> None:
    world.primary.script(*[DOWN] * 3)
    world.start(detection={"consecutiveFailures": 3, "baseEjectionTime": "60ms"})
    providers = [world.send(stream=False).headers["x-llm-mesh-provider"] for _ in range(4)]
    assert providers == ["fallback"] * 4
    assert "".join(name[0] for name, _ in world.calls) == "pfpfpff"
    until = time.monotonic() + 2
    while world.send(stream=False).headers["x-llm-mesh-provider"] == "fallback":
        assert time.monotonic() < until
    assert world.send(stream=True).headers["x-llm-mesh-provider"] == "primary"
    assert len(world.primary.requests) == 3 + 2


def test_when_both_are_ejected_each_request_passes_in_one_attempt(world: World) -> None:
    world.start(detection={"consecutiveFailures": 2}, retry={"backoff": "1ms"})
    world.primary.always(DOWN)
    world.fallback.always(DOWN)
    assert [world.send(stream=False).code for _ in range(2)] == ["overloaded"] * 2
    called = len(world.calls)
    seen = world.send(stream=True)
    assert (seen.status, seen.code) == (503, "overloaded")
    assert seen.headers["x-llm-mesh-attempts"] == "1"
    assert [name for name, _ in world.calls[called:]] == ["primary"]
    world.primary.always(Answer(body=WHOLE))
    assert world.send(stream=False).headers["x-llm-mesh-provider"] == "primary"


def test_when_both_ask_to_be_left_alone_the_answer_is_503_with_retry_after(world: World) -> None:
    fault = refusal(429, "slow_down", retry_after="60")
    world.start(detection={"consecutiveFailures": 2}, retry={"backoff": "1ms"})
    world.primary.always(fault)
    world.fallback.always(fault)
    assert [world.send(stream=False).status for _ in range(2)] == [429, 429]
    called = len(world.calls)
    seen = world.send(stream=True)
    assert (seen.status, seen.code) == (503, "no_healthy_upstream")
    assert 55 <= int(seen.headers["retry-after"]) <= 60
    assert seen.headers["content-type"] == "application/json"
    assert len(world.calls) == called == 4
