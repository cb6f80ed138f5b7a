"""An exchange driven by hand: scripted answers for a provider, and a clock that stands still."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from llm_mesh_middleware._core.flow.attempts.context import ExchangeSettings
from llm_mesh_middleware._core.flow.exchange import exchange
from llm_mesh_middleware._core.flow.observer import Observation
from llm_mesh_middleware._core.flow.reply import Flow, Reply
from llm_mesh_middleware._core.flow.state import MeshState
from llm_mesh_middleware._core.routing.retry_policy import RetryPolicy
from llm_mesh_middleware._core.routing.table import RoutingTable
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import (
    ClientRequest,
    Failure,
    ResponseHead,
    UpstreamRequest,
    WholeResponse,
)
from llm_mesh_middleware._core.values.selection import Selection
from llm_mesh_middleware._core.values.steps import Send, Step, StepResult
from llm_mesh_middleware._core.values.usage import Usage
from llm_mesh_middleware._engine.ports.memory import MemoryStore
from llm_mesh_middleware.exceptions import MeshError
from tests.core.tables import virtual_host

JSON = "content-type: application/json"
SSE = "content-type: text/event-stream"
ANSWER = b'{"id":"a1","choices":[]}'


class Notes(Observation):
    """An observation that remembers what it was told, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.ends: list[tuple[int | None, BaseException | None]] = []
        self.usage: Usage | None = None

    def selected(self, selection: Selection) -> None:
        self.events.append(f"selected {selection.rule}")

    def sending(self, request: UpstreamRequest) -> None:
        self.events.append(f"sending {request.endpoint.provider_host}")

    def answered(self, attempt: int, answer: ResponseHead | Failure) -> None:
        if isinstance(answer, ResponseHead):
            self.events.append(f"answered {answer.status}")
        else:
            self.events.append(f"answered {type(answer.error).__name__}")

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        self.events.append("ended")
        self.ends.append((status, error))
        self.usage = usage


@dataclass
class Clock:
    """Stands still until it is told to move."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Play:
    """One exchange; `perform` hands it the answers, each after so many seconds."""

    steps: Flow
    clock: Clock
    notes: Notes
    taken: list[Step] = field(default_factory=list)
    reply: Reply | None = None
    error: MeshError | None = None

    def perform(self, *answers: StepResult, seconds: float = 0.0) -> Play:
        """Until there is a reply or an error, or the answers are used up."""
        try:
            if not self.taken:
                self.taken.append(next(self.steps))
            for answer in answers:
                self.clock.now += seconds
                self.taken.append(self.steps.send(answer))
        except StopIteration as stop:
            self.reply = stop.value
        except MeshError as error:
            self.error = error
        return self

    def read(self, *results: StepResult) -> list[bytes]:
        """What the client gets of a streamed reply while its steps are answered with `results`."""
        assert self.reply is not None
        body, given, got = self.reply.body, iter(results), []
        assert not isinstance(body, bytes)
        item = next(body, None)
        while item is not None:
            if isinstance(item, bytes):
                got.append(item)
                item = next(body, None)
                continue
            self.taken.append(item)
            try:
                item = body.send(next(given))
            except StopIteration:
                break
        return got

    def throw(self, reason: Exception) -> bytes:
        """What the client still gets of a streamed reply that is ended for `reason`."""
        assert self.reply is not None
        body = self.reply.body
        assert not isinstance(body, bytes)
        try:
            last = body.throw(reason)
        except StopIteration:
            return b""
        assert isinstance(last, bytes)
        assert next(body, None) is None
        return last

    @property
    def sent(self) -> UpstreamRequest:
        """The upstream request of the first step."""
        step = self.taken[0]
        assert isinstance(step, Send)
        return step.request


def play(
    routes: RoutingTable,
    asked: ClientRequest,
    *answers: StepResult,
    host: str = "chat",
    policy: ExchangeSettings | None = None,
    chance: float = 0.0,
    seconds: float = 0.0,
) -> Play:
    """Serve `asked` in one attempt with these answers of the provider, `seconds` before each."""
    clock, notes = Clock(), Notes()
    found = virtual_host(routes, host)
    rules = [replace(rule, retry=RetryPolicy(attempts=0)) for rule in found.rules]
    steps = _flow(
        replace(found, rules=tuple(rules)),
        asked,
        policy or ExchangeSettings(),
        MeshState(threading.Lock, MemoryStore()),
        clock=clock,
        wall_clock=clock,
        random=lambda: chance,
        observation=notes,
    )
    return Play(steps, clock, notes).perform(*answers, seconds=seconds)


def _flow(*args: Any, **kwargs: Any) -> Flow:
    """The exchange, also where it fails before its first step."""
    return (yield from exchange(*args, **kwargs))


def sent(
    routes: RoutingTable,
    asked: ClientRequest,
    *,
    host: str = "chat",
    policy: ExchangeSettings | None = None,
) -> UpstreamRequest:
    """What goes upstream for `asked`; an error is raised."""
    performed = play(routes, asked, host=host, policy=policy)
    if performed.error is not None:
        raise performed.error
    performed.steps.close()
    return performed.sent


def head(status: int = 200, *fields: str) -> ResponseHead:
    """A provider's answer as far as its head; fields are written `name: value`."""
    pairs = (line.partition(": ") for line in fields)
    return ResponseHead(
        status, Headers([(name.encode(), value.encode("latin-1")) for name, _, value in pairs])
    )


def answers(status: int, body: bytes, *fields: str) -> Iterator[StepResult]:
    """The answers of a provider that sends `body` in one piece."""
    yield head(status, *fields)
    if body:
        yield body
    yield b""


def whole(status: int, body: bytes, *fields: str) -> WholeResponse:
    """The answer of a provider whose body comes with its head."""
    return WholeResponse(status, head(status, *fields).headers, body)
