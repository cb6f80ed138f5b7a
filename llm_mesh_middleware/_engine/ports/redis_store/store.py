"""The store in Redis or Valkey.

    ask      in the calling thread, a connection of a pool
    aask     all reservations of one turn of an event loop in one pipeline
    settle   into the outbox, whose thread sends them together

While the store is away nobody waits for it (`breaker`), and what is counted locally is kept in
memory. When it is back, what the local buckets lack is taken from those of the store.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Sequence
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

from redis.exceptions import NoScriptError

from ...._core.limiting.claims import (
    BucketChange,
    BucketClaim,
    BudgetChange,
    BudgetClaim,
    Change,
    Reserve,
    Reserved,
    Settle,
    SlotClaim,
    SlotRelease,
)
from ...._process.forks import follow_forks
from ....exceptions import PolicyUnavailable
from ..memory import MemoryStore
from .breaker import WINDOW_S, Breaker
from .connecting import FAILURES, Address
from .outbox import Outbox
from .pipeline import Pipeline
from .scripts import RESERVE, SETTLE, Script, read_reserved, reserve_call, settle_call

__all__ = ["RedisStore"]

_AWAY = "the store of limits cannot be reached"


class RedisStore:
    """Buckets and slots on a server; keys begin with `prefix`."""

    def __init__(self, url: str, *, timeout_s: float = 0.05, prefix: str = "llm-mesh") -> None:
        """Connect to nothing yet.

        Args:
            url: `redis://`, `rediss://`, `unix://`; it may hold a password, and is shown nowhere.
            timeout_s: the longest that a request waits for the store.
            prefix: begins every key.
        """
        self._address = Address.of(url, timeout_s)
        self._is_cluster = self._address.is_cluster
        self._timeout_s = timeout_s
        self._prefix = prefix
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
            if self._is_cluster:
                reserved = self._reserve_each(request, slot)
            else:
                answer = self._evaluate(RESERVE, reserve_call(request.claims, self._prefix, slot))
                reserved = read_reserved(answer, request, slot)
        except FAILURES as error:
            self._breaker.failed(error)
            self._give_up(request, slot)
            raise PolicyUnavailable(_AWAY) from None
        self._breaker.succeeded()
        return reserved

    async def aask(self, request: Reserve, until: float | None) -> Reserved:
        """Reserve, in the running event loop."""
        if request.is_local:
            return self._reserve_locally(request)
        self._check_breaker()
        if self._is_cluster:
            return await self._ask_in_thread(request, until)
        loop = asyncio.get_running_loop()
        pipeline = self._pipelines.get(loop)
        if pipeline is None:
            client = self._address.async_client()
            pipeline = self._pipelines[loop] = Pipeline(
                client, self._breaker, self._timeout_s, self._undo
            )
        slot = self._slot()
        call = reserve_call(request.claims, self._prefix, slot)
        answer = await pipeline.reserve(call, (request, slot))
        if answer is None:
            self._give_up(request, slot)
            raise PolicyUnavailable(_AWAY)
        return read_reserved(answer, request, slot)

    def settle(self, request: Settle) -> None:
        """Queue the changes; those of local reservations go where these are now."""
        if request.is_local:
            with self._local_lock:
                if self._is_local:
                    self._local.settle(request)
                    return
        self._outbox.put(request.changes)

    @property
    def is_away(self) -> bool:
        """Whether the server cannot be used now, as far as is known."""
        return self._breaker.is_open

    def flush(self, within_s: float = 1.0) -> None:
        """Wait until what is queued has been settled, for so long at most."""
        self._outbox.flush(within_s)

    def close(self) -> None:
        """Flush, and close the connections of threads."""
        self.flush()
        self._client.close()

    async def aclose(self) -> None:
        """Flush, and close the connections of the running event loop."""
        await asyncio.to_thread(self.flush)
        pipeline = self._pipelines.pop(asyncio.get_running_loop(), None)
        if pipeline is not None:
            await pipeline.aclose()

    def _begin_process(self) -> None:
        """Begin anew in a forked child: the connections are the parent's."""
        self._client_lock = threading.Lock()
        self._made_client: Any = None
        self._pipelines: WeakKeyDictionary[asyncio.AbstractEventLoop, Pipeline]
        self._pipelines = WeakKeyDictionary()
        self._process, self._numbers = secrets.token_hex(6), count(1)
        self._local, self._local_lock, self._is_local = MemoryStore(), threading.Lock(), False
        self._outbox = Outbox(self._send, self._slot, WINDOW_S)
        self._breaker = Breaker(self._move_local, "the store of limits")

    @property
    def _client(self) -> Any:
        """The client of threads; one of a cluster connects when it is made."""
        with self._client_lock:
            if self._made_client is None:
                self._made_client = self._address.client()
            return self._made_client

    def _slot(self) -> str:
        return f"{self._process}-{next(self._numbers)}"

    def _check_breaker(self) -> None:
        if not self._breaker.allows():
            raise PolicyUnavailable(_AWAY)

    def _evaluate(self, script: Script, arguments: Sequence[str | int]) -> Any:
        client = self._client
        try:
            return client.evalsha(script.digest, *arguments)
        except NoScriptError:
            return client.eval(script.text, *arguments)

    async def _ask_in_thread(self, request: Reserve, until: float | None) -> Reserved:
        asked = asyncio.ensure_future(asyncio.to_thread(self.ask, request, until))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(lambda done: self._undo_asked(request, done))
            raise

    def _undo_asked(self, request: Reserve, asked: asyncio.Future[Reserved]) -> None:
        if not asked.cancelled() and asked.exception() is None:
            self._undo(request, asked.result())

    def _reserve_each(self, request: Reserve, slot: str) -> Reserved:
        """Reserve one after another, as their nodes differ; what was taken in vain is given back.

        So a request may be refused that would have passed, but none passes that should not.
        """
        parts = []
        for claim in request.claims:
            answer = self._evaluate(RESERVE, reserve_call((claim,), self._prefix, slot))
            parts.append(read_reserved(answer, Reserve((claim,)), slot))
        is_granted = all(part.is_granted for part in parts)
        reserved = Reserved(
            is_granted, tuple(part.outcomes[0] for part in parts), slot if is_granted else ""
        )
        if not is_granted:
            claims = [c for c, part in zip(request.claims, parts, strict=True) if part.is_granted]
            self._undo(Reserve(tuple(claims)), Reserved(True, (), slot))
        return reserved

    def _undo(self, request: Reserve, reserved: Reserved) -> None:
        """Give back what was reserved for nobody."""
        if not reserved.is_granted:
            return
        waits = [outcome.wait_us for outcome in reserved.outcomes] or [0] * len(request.claims)
        changes: list[Change] = []
        for claim, wait in zip(request.claims, waits, strict=True):
            if isinstance(claim, BudgetClaim):
                slot, keep_us = reserved.slot, claim.keep_us
                changes.append(BudgetChange(claim.key, slot, claim.need, 0, keep_us))
            elif wait:
                continue
            elif isinstance(claim, BucketClaim):
                changes.append(BucketChange(claim.key, -claim.need_us))
            else:
                changes.append(SlotRelease(claim.key, reserved.slot))
        self._outbox.put(tuple(changes))

    def _give_up(self, request: Reserve, slot: str) -> None:
        """Give back slots and money that may have been taken by a reservation without an answer.

        What it may have taken from buckets comes back by itself.
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
        """Take from the store's buckets what the local ones lack, and add what was spent."""
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
            for index, part in enumerate(parts):
                self._evaluate(SETTLE, settle_call(part, self._prefix, f"{name}-{index}"))
        except FAILURES as error:
            self._breaker.failed(error)
            return False
        self._breaker.succeeded()
        return True
