"""The store in Redis or Valkey.

    ask      in the calling thread (`lines`)
    aask     all reservations of one turn of an event loop together (`pipeline`, `async_lines`)
    settle   into the outbox, from which event loops take many, and its thread sends the rest

One script grants all claims of a request. In a cluster there is one for each claim, because their
nodes differ; if one refuses, the others' reservations are returned.

While the store is away no request waits for it (`breaker`), and local counts are in memory. When it
is back, they are added to those of the store.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Sequence
from itertools import count
from typing import Any

from ...._core.limiting.claims import (
    BucketChange,
    BucketClaim,
    BudgetChange,
    BudgetClaim,
    Change,
    Claim,
    Reserve,
    Reserved,
    Settle,
    SlotClaim,
    SlotRelease,
)
from ...._process.forks import follow_forks
from ....exceptions import PolicyUnavailable
from ..loop_connections import LoopConnections
from ..memory import MemoryStore
from .async_lines import AsyncClusterLines, AsyncLines, packed
from .breaker import WINDOW_S, Breaker
from .connecting import FAILURES, Address
from .lines import ClusterLines, Lines
from .outbox import Outbox
from .pipeline import Pipeline, Waiting
from .scripts import (
    RESERVE,
    SETTLE,
    Arguments,
    read_reserved,
    reserve_call,
    settle_call,
    take_command,
)

__all__ = ["RedisStore"]

_AWAY = "the store of limits cannot be reached"


class RedisStore:
    """Buckets and slots on a server; keys begin with `prefix`."""

    def __init__(self, url: str, *, timeout_s: float = 0.05, prefix: str = "llm-mesh") -> None:
        """Connect to nothing yet.

        Args:
            url: `redis://`, `rediss://`, `unix://`; never shown, as it may contain a password.
            timeout_s: the longest that a request waits for the store.
            prefix: begins every key.
        """
        self._address = Address.of(url, timeout_s)
        self._is_cluster = self._address.is_cluster
        self._timeout_s = timeout_s
        self._prefix = prefix
        self._pipelines: LoopConnections[Pipeline] = LoopConnections(Pipeline.abandon)
        self._begin_process()
        follow_forks(self)

    def __repr__(self) -> str:
        return "RedisStore()"

    def ask(self, request: Reserve, until: float | None) -> Reserved:
        """Reserve, in this thread."""
        if request.is_local:
            return self._reserve_locally(request)
        self._check_breaker()
        slot = self._slot()
        try:
            answers = self._lines.run(RESERVE, self._calls(request, slot))
        except FAILURES as error:
            self._breaker.failed(error)
            self._give_up(request, slot)
            raise PolicyUnavailable(_AWAY) from None
        self._breaker.succeeded()
        return self._joined(request, answers, slot)

    async def aask(self, request: Reserve, until: float | None) -> Reserved:
        """Reserve, in the running event loop."""
        if request.is_local:
            return self._reserve_locally(request)
        if self._breaker.is_open:
            self._check_breaker()
        loop = asyncio.get_running_loop()
        pipeline = self._pipelines.made.get(loop) or self._pipeline(loop)
        claims, slot = request.claims, ""
        only = claims[0]
        if len(claims) == 1 and only.__class__ is BucketClaim and not only.is_shadow:
            size, written = 1, take_command(only, self._prefix)  # as most are
        else:
            slot = self._slot()
            calls = self._calls(request, slot)
            size, written = len(calls), packed("EVALSHA", RESERVE.digest, calls)
        found: asyncio.Future[list[Any] | None] = loop.create_future()
        pipeline.send(Waiting(request, slot, written, size, found, pipeline), loop)
        try:
            answers = await found
        except asyncio.CancelledError:
            if not found.cancelled() and (late := found.result()) is not None:
                self._undo(request, late, slot)  # they had arrived before the cancellation
            raise
        if answers is None:
            self._give_up(request, slot)
            raise PolicyUnavailable(_AWAY)
        return self._joined(request, answers, slot)

    def settle(self, request: Settle) -> None:
        """Queue the changes, for the local store if their reservations are still there."""
        if request.is_local:
            with self._local_lock:
                if self._is_local:
                    self._local.settle(request)
                    return
        self._outbox.put(request.changes)

    @property
    def is_away(self) -> bool:
        """Whether the last use of the server failed."""
        return self._breaker.is_open

    def flush(self, within_s: float = 1.0) -> None:
        """Wait until queued changes are settled, at most `within_s`."""
        self._outbox.flush(within_s)

    def close(self) -> None:
        """Flush, and close the connections of threads, and of event loops that have ended."""
        self.flush()
        self._pipelines.abandon()
        if self._made_lines is not None:
            self._made_lines.close()

    async def aclose(self) -> None:
        """Flush, and close the connections of the running event loop."""
        await asyncio.to_thread(self.flush)
        await self._pipelines.aclose()

    def _begin_process(self) -> None:
        """Start again in a forked child: the connections belong to the parent."""
        self._lines_lock = threading.Lock()
        self._made_lines: Lines | None = None
        self._process, self._numbers = secrets.token_hex(6), count(1)
        self._local, self._local_lock, self._is_local = MemoryStore(), threading.Lock(), False
        self._outbox = Outbox(self._send, self._slot, WINDOW_S)
        self._breaker = Breaker(self._move_local, "the store of limits")

    @property
    def _lines(self) -> Lines:
        """The connections of threads; those of a cluster connect when they are made."""
        with self._lines_lock:
            if self._made_lines is None:
                made = ClusterLines if self._is_cluster else Lines
                self._made_lines = made(self._address)
            return self._made_lines

    def _pipeline(self, loop: asyncio.AbstractEventLoop) -> Pipeline:
        made = AsyncClusterLines if self._is_cluster else AsyncLines
        pipeline = Pipeline(
            made(self._address),
            self._breaker,
            self._timeout_s,
            outbox=self._outbox,
            prefix=self._prefix,
            arguments=self._calls,
            undo=self._undo,
        )
        return self._pipelines.put(loop, pipeline)

    def _slot(self) -> str:
        return f"{self._process}-{next(self._numbers)}"

    def _check_breaker(self) -> None:
        if not self._breaker.allows():
            raise PolicyUnavailable(_AWAY)

    def _parts(self, request: Reserve) -> Sequence[Sequence[Claim]]:
        """Return the claims that one script grants together: in a cluster, their nodes differ."""
        return [(claim,) for claim in request.claims] if self._is_cluster else (request.claims,)

    def _calls(self, request: Reserve, slot: str) -> list[Arguments]:
        if not self._is_cluster:
            return [reserve_call(request.claims, self._prefix, slot)]
        return [reserve_call(part, self._prefix, slot) for part in self._parts(request)]

    def _joined(self, request: Reserve, answers: Sequence[Sequence[int]], slot: str) -> Reserved:
        """Return the result of a request; if one script refused, return the others' reservations.

        So a request may be refused that would have passed, but never the reverse.
        """
        if len(answers) == 1:
            return read_reserved(answers[0], slot)
        parts = [read_reserved(answer, slot) for answer in answers]
        is_granted = all(part.is_granted for part in parts)
        if not is_granted:
            self._undo(request, answers, slot)
        outcomes = tuple(outcome for part in parts for outcome in part.outcomes)
        return Reserved(is_granted, outcomes, slot if is_granted else "")

    def _undo(self, request: Reserve, answers: Sequence[Sequence[int]], slot: str) -> None:
        """Return reservations that no call uses."""
        changes: list[Change] = []
        for claims, answer in zip(self._parts(request), answers, strict=True):
            reserved = read_reserved(answer, slot)
            if reserved.is_granted:
                for claim, outcome in zip(claims, reserved.outcomes, strict=True):
                    if isinstance(claim, BudgetClaim):
                        change = BudgetChange(claim.key, slot, claim.need, 0, claim.keep_us)
                        changes.append(change)
                    elif outcome.wait_us:
                        continue
                    elif isinstance(claim, BucketClaim):
                        changes.append(BucketChange(claim.key, -claim.need_us))
                    else:
                        changes.append(SlotRelease(claim.key, slot))
        self._outbox.put(tuple(changes))

    def _give_up(self, request: Reserve, slot: str) -> None:
        """Return slots and money that a reservation without an answer may have taken.

        Buckets refill anyway.
        """
        changes: list[Change] = []
        for claim in request.claims:
            if isinstance(claim, SlotClaim):
                changes.append(SlotRelease(claim.key, slot))
            elif isinstance(claim, BudgetClaim):
                changes.append(BudgetChange(claim.key, slot, claim.need, 0, claim.keep_us))
        self._outbox.put(tuple(changes))

    def _reserve_locally(self, request: Reserve) -> Reserved:
        with self._local_lock:
            self._is_local = self._is_local or self._breaker.is_open
            reserved = self._local.ask(request, None)
        return Reserved(reserved.is_granted, reserved.outcomes, reserved.slot, is_local=True)

    def _move_local(self) -> None:
        """Add the use of the local buckets and budgets to those of the store."""
        with self._local_lock:
            changes = self._local.drain() if self._is_local else ()
            self._is_local = False
        self._outbox.put(changes)
        self._outbox.wake()

    def _send(self, changes: Sequence[Change], name: str) -> bool:
        """Apply changes; return False if the store is away."""
        if not self._breaker.allows():
            return False
        try:
            parts = [[change] for change in changes] if self._is_cluster else [changes]
            calls = [
                settle_call(part, self._prefix, f"{name}-{index}")
                for index, part in enumerate(parts)
            ]
            self._lines.run(SETTLE, calls)
        except FAILURES as error:
            self._breaker.failed(error)
            return False
        self._breaker.succeeded()
        return True
