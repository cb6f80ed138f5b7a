"""Exchanges driven by hand on a clock that jumps: thousands of requests, no I/O, no waiting.

Requests overlap as they do in a server, because an attempt takes its provider's time.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from llm_mesh_middleware._core.flow.attempts.context import ExchangeSettings
from llm_mesh_middleware._core.flow.exchange import exchange
from llm_mesh_middleware._core.flow.observer import Observation
from llm_mesh_middleware._core.flow.reply import Flow
from llm_mesh_middleware._core.flow.state import MeshState
from llm_mesh_middleware._core.routing.table import RoutingTable
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest, Failure, ResponseHead
from llm_mesh_middleware._core.values.steps import Await, Read, Send, Sleep, StepResult
from llm_mesh_middleware._engine.ports.memory import MemoryStore
from llm_mesh_middleware.exceptions import AnswerableError, UpstreamConnectError
from tests.resilience.meshes import HOST

BODY = b'{"id":"a1","object":"chat.completion","choices":[]}'


@dataclass(frozen=True)
class Act:
    """What a provider does with a call: its answer's status (0: refused), wish and duration."""

    status: int = 200
    retry_after: str | None = None
    seconds: float = 0.05


Behaviour = Callable[[float], Act]


@dataclass(frozen=True)
class Call:
    """One call that a provider has got."""

    at: float
    provider: str
    status: int


@dataclass(frozen=True)
class Served:
    """What one client has got."""

    at: float
    until: float
    status: int
    headers: Mapping[str, str]

    @property
    def provider(self) -> str:
        return self.headers["x-llm-mesh-provider"]


class Simulation:
    """A process with one mesh; `behaviours` are by provider name and get the time."""

    def __init__(
        self,
        table: RoutingTable,
        behaviours: Mapping[str, Behaviour],
        *,
        seed: int = 1,
        state: MeshState | None = None,
    ) -> None:
        self.table = table
        self.state = state or MeshState(threading.Lock, MemoryStore())
        self.now = 0.0
        self.calls: list[Call] = []
        self.served: list[Served] = []
        self._behaviours = behaviours
        self._random = random.Random(seed).random
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._numbers = itertools.count()

    def run(self, requests: int, *, every_s: float) -> Simulation:
        """So many requests, one after every so many seconds, until the last is answered."""
        for number in range(requests):
            self._later(number * every_s, self._arrive)
        while self._events:
            self.now, _, event = heapq.heappop(self._events)
            event()
        return self

    def calls_to(self, provider: str, since: float = 0.0, until: float = 1e9) -> list[float]:
        """When the provider was called."""
        return [c.at for c in self.calls if c.provider == provider and since <= c.at < until]

    def share(self, provider: str, since: float, until: float) -> float:
        """The part of the requests of that time that the provider has served."""
        served = [one.provider for one in self.served if since <= one.at < until]
        return served.count(provider) / len(served)

    def _later(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), event))

    def _arrive(self) -> None:
        host = self.table.find(HOST.encode())
        assert host is not None
        body = b'{"messages":[],"seed":%d}' % next(self._numbers)  # no request repeats another
        request = ClientRequest("POST", "/v1/chat/completions", Headers([]), body)
        steps = exchange(
            host,
            request,
            ExchangeSettings(),
            self.state,
            clock=lambda: self.now,
            wall_clock=lambda: self.now,
            random=self._random,
            observation=Observation(),
        )
        _Run(self, steps).go_on(None)


class _Run:
    """One exchange, its steps carried out in simulated time."""

    def __init__(self, simulation: Simulation, steps: Flow) -> None:
        self._simulation = simulation
        self._steps = steps
        self._at = simulation.now
        self._body: list[bytes] = []

    def go_on(self, answer: StepResult) -> None:
        try:
            step = self._steps.send(answer)
        except StopIteration as stop:
            fields = {name.decode(): value.decode() for name, value in stop.value.headers}
            self._end(stop.value.status, fields)
        except AnswerableError as error:
            self._end(error.status, error.headers)
        else:
            self._carry_out(step)

    def _end(self, status: int, headers: Mapping[str, str]) -> None:
        self._simulation.served.append(Served(self._at, self._simulation.now, status, headers))

    def _carry_out(self, step: object) -> None:
        later = self._simulation._later
        if isinstance(step, Send):
            act = self._call(step)
            later(act.seconds, lambda: self.go_on(self._answer(act, step)))
        elif isinstance(step, Read):
            self.go_on(self._body.pop(0) if self._body else b"")
        elif isinstance(step, Sleep):
            later(step.seconds, lambda: self.go_on(None))
        elif isinstance(step, Await):
            self._wait(step)
        else:
            raise AssertionError(f"no simulation of {step}")

    def _call(self, step: Send) -> Act:
        simulation = self._simulation
        name = step.request.endpoint.provider_host.partition(".")[0]
        act = simulation._behaviours[name](simulation.now)
        simulation.calls.append(Call(simulation.now, name, act.status))
        return act

    def _answer(self, act: Act, step: Send) -> ResponseHead | Failure:
        if not act.status:
            return Failure(UpstreamConnectError(f"{step.request.endpoint.provider_host} refused"))
        fields = [(b"content-type", b"application/json")]
        if act.retry_after is not None:
            fields.append((b"retry-after", act.retry_after.encode()))
        self._body = [BODY if act.status == 200 else b'{"error":{"code":"no"}}']
        return ResponseHead(act.status, Headers(fields))

    def _wait(self, step: Await) -> None:
        simulation, woken = self._simulation, [False]

        def wake() -> None:
            if not woken[0]:
                woken[0] = True
                simulation._later(0.0, lambda: self.go_on(None))

        step.signal(wake)
        simulation._later(max(0.0, step.deadline.at - simulation.now), wake)
