"""Pools in simulated time: several processes, each with pages of its own that are a second old."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from llm_mesh_middleware._core.balance.backends import Backend
from llm_mesh_middleware._core.balance.balancer import Candidate
from llm_mesh_middleware._core.balance.pooled import Pooled
from llm_mesh_middleware._core.provider.registry import HealthRegistry
from llm_mesh_middleware._core.provider.servers.metrics_page import ServerLoad
from llm_mesh_middleware._core.values.endpoint import Endpoint
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._dialects.openai_chat import CHAT
from tests.core.tables import provider, table

_EVERY_S = 1.0


def call(*texts: str) -> ClientRequest:
    """A request with these turns; without any it has no beginning that others share."""
    roles = itertools.cycle(("user", "assistant"))
    turns = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]
    fields = {"model": msgspec.Raw(b'"qwen"'), "messages": msgspec.Raw(msgspec.json.encode(turns))}
    return ClientRequest("POST", "/", Headers(), operation=CHAT, fields=fields, model="qwen")


@dataclass
class Server:
    """A model server that works on `slots` requests at once; the others wait in line."""

    slots: int
    seconds: float
    running: int = 0
    line: list[Callable[[], None]] = field(default_factory=list)
    served: int = 0


class Pool:
    """Processes that call the servers of one pool."""

    def __init__(
        self, servers: Sequence[Server], *, processes: int, seed: int = 1, pages: bool = True
    ) -> None:
        self.servers = servers
        self.now = 0.0
        self.longest_line = 0
        self.random = random.Random(seed).random
        self._has_pages = pages
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        upstream = table(provider()).hosts[0].rules[0].backends.tiers[0][0].upstream
        backend = Backend(upstream, 1, is_pool=True)
        ends = [Endpoint("pool", "http", "10.0.0.1", port, "pool") for port in range(len(servers))]
        registries = [HealthRegistry(threading.Lock) for _ in range(processes)]
        self._processes = [
            [Candidate(backend, end, registry.of(upstream, end)) for end in ends]
            for registry in registries
        ]
        for candidates in self._processes:
            self._later(self.random() * _EVERY_S, lambda held=candidates: self._read(held))

    def run(self, calls: Sequence[ClientRequest], *, every_s: float) -> list[int]:
        """Send each call by a process drawn by lot; return which server got each."""
        self._got: list[int] = [-1] * len(calls)
        self._left = len(calls)
        for number, each in enumerate(calls):
            at = 2 * _EVERY_S + number * every_s
            self._later(at, lambda number=number, each=each: self._arrive(number, each))
        while self._left:
            self.now, _, event = heapq.heappop(self._events)
            event()
        return self._got

    def _later(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), event))

    def _read(self, candidates: Sequence[Candidate]) -> None:
        for server, candidate in zip(self.servers, candidates, strict=True):
            if self._has_pages:
                state = candidate.health.server
                load = ServerLoad(len(server.line), server.running, server.running / server.slots)
                state.learn(load, state.started, self.now)
        self._later(_EVERY_S * (0.8 + 0.4 * self.random()), lambda: self._read(candidates))

    def _arrive(self, number: int, request: ClientRequest) -> None:
        candidates = self._processes[int(self.random() * len(self._processes))]
        picked = Pooled().pick(candidates, request, self.random, self.now)
        self._got[number] = index = candidates.index(picked)
        lease = picked.health.lease(self.now)
        assert lease is not None
        server = self.servers[index]

        def begin() -> None:
            server.running += 1
            self._later(server.seconds, end)

        def end() -> None:
            server.running -= 1
            server.served += 1
            lease.end("success", self.now)
            self._left -= 1
            if server.line:
                server.line.pop(0)()

        if server.running < server.slots:
            begin()
        else:
            server.line.append(begin)
            self.longest_line = max(self.longest_line, len(server.line))


def largest_share(got: Sequence[int], servers: int) -> float:
    """The share of the server that got most, as a multiple of the mean."""
    return max(Counter(got).values()) / (len(got) / servers)


def test_eight_processes_with_old_pages_do_not_herd() -> None:
    for seed in range(2):
        pool = Pool([Server(16, 0.8) for _ in range(6)], processes=8, seed=seed)
        got = pool.run([call()] * 4_000, every_s=0.01)
        assert largest_share(got, 6) <= 1.5


def test_eight_processes_do_not_herd_to_a_server_that_has_just_come() -> None:
    """An empty server attracts all who know of it, for as long as their pages are old."""
    servers = [Server(16, 0.8) for _ in range(6)]
    for server in servers[1:]:
        server.line = [lambda: None] * 5
    pool = Pool(servers, processes=8)
    got = pool.run([call()] * 200, every_s=0.01)
    assert largest_share(got, 6) <= 2.0  # two choices: at most twice the mean, whatever is known


def test_conversations_are_spread() -> None:
    for seed in range(2):
        pool = Pool([Server(32, 0.8) for _ in range(6)], processes=8, seed=seed)
        got = pool.run([call(f"talk {seed} {n}") for n in range(3_000)], every_s=0.01)
        assert largest_share(got, 6) <= 1.5


def test_turns_stay_while_no_queue_is_over_its_limit() -> None:
    order = random.Random(3)
    owners = [owner for _ in range(20) for owner in order.sample(range(60), 60)]
    calls = [call(f"talk {owner}", "Yes", f"And {n}?") for n, owner in enumerate(owners)]
    pool = Pool([Server(16, 0.5) for _ in range(4)], processes=8)
    got = pool.run(calls, every_s=0.02)
    assert pool.longest_line <= 5
    first: dict[int, int] = {}
    stayed = sum(first.setdefault(owner, at) == at for owner, at in zip(owners, got, strict=True))
    assert stayed >= 0.9 * len(calls)
    assert len(set(got)) == 4


def test_a_crowded_server_gives_its_conversations_to_others() -> None:
    servers = [Server(2, 1.0) for _ in range(4)]
    pool = Pool(servers, processes=2)
    got = pool.run([call("one talk of all", "Yes", str(n)) for n in range(600)], every_s=0.125)
    # The limit holds in each process and by pages that are up to 1.2 s old.
    assert pool.longest_line <= 30
    assert len(set(got)) > 1


def test_a_server_three_times_as_slow_gets_less() -> None:
    servers = [Server(8, 0.5), Server(8, 0.5), Server(8, 0.5), Server(8, 1.5)]
    got = Pool(servers, processes=8).run([call()] * 4_000, every_s=0.022)
    assert Counter(got)[3] / len(got) < 0.15


def test_without_pages_the_least_busy_of_two_is_picked() -> None:
    pool = Pool([Server(16, 0.4) for _ in range(4)], processes=1, pages=False)
    got = pool.run([call()] * 2_000, every_s=0.01)
    assert largest_share(got, 4) <= 1.15
