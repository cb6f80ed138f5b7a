"""Cached responses in Redis or Valkey, shared by processes and machines.

PREFIX:cache:KEY           the key again, its time to live in milliseconds, the entry; expires
{PREFIX:cache:KEY}:lease   the process that makes the call for all others (`leases`)
PREFIX:cache:near:...      vectors of requests (`shared_vectors`)

The age of an entry is measured by the server's clock. The key in the value is compared, so that a
connection that is out of step cannot return the response to another request. While the server is
away, every look-up is a miss, and no request waits for it (`breaker`).
"""

from __future__ import annotations

import asyncio
import threading
from secrets import token_bytes
from struct import Struct
from typing import Any

from ...._core.caching.entry import Found, Lookup, Save
from ...._core.caching.lease import Claim, Claimed, Lease
from ...._core.caching.semantic.similarity import Nearest, Remember
from ...._core.caching.store import Answer, Request
from ...._process.forks import follow_forks
from ..loop_connections import LoopConnections
from .breaker import Breaker
from .connecting import FAILURES, Address
from .leases import FREE, LEASE_MS, Leases
from .shared_vectors import SharedVectors

__all__ = ["RedisCache"]

_TIME = Struct(">Q")
_HOLDER_BYTES = 16
_CONTENTS = {"cache": "cached responses", "response": "the providers of responses"}


class RedisCache:
    """Entries on a server; keys begin with `prefix`."""

    def __init__(
        self, url: str, *, timeout_s: float = 0.05, prefix: str = "llm-mesh", kind: str = "cache"
    ) -> None:
        """Prepare, as `RedisStore` does; `kind` separates entries for different purposes."""
        self._address = Address.of(url, timeout_s)
        self._prefix, self._kind = f"{prefix}:{kind}:", kind
        self._vectors = SharedVectors(self._prefix)
        self._clients: LoopConnections[Any] = LoopConnections()
        self._begin_process()
        follow_forks(self)

    def __repr__(self) -> str:
        return "RedisCache()"

    def ask(self, request: Request, until: float | None) -> Answer:
        """Carry out the request in this thread."""
        if not self._breaker.allows():
            return self._without_server(request)
        holder = token_bytes(_HOLDER_BYTES)
        try:
            with self._client.pipeline(transaction=False) as commands:
                self._queue(commands, request, holder)
                answers = commands.execute()
        except FAILURES as error:
            self._breaker.failed(error)
            return self._without_server(request)
        self._breaker.succeeded()
        return self._answer(request, answers, holder)

    async def aask(self, request: Request, until: float | None) -> Answer:
        """Carry out the request in the running event loop."""
        if not self._breaker.allows():
            return self._without_server(request)
        holder = token_bytes(_HOLDER_BYTES)
        try:
            async with asyncio.timeout(self._address.timeout_s):
                async with self._client_of_loop().pipeline(transaction=False) as commands:
                    self._queue(commands, request, holder)
                    answers = await commands.execute()
        except FAILURES as error:
            self._breaker.failed(error)
            return self._without_server(request)
        self._breaker.succeeded()
        return self._answer(request, answers, holder)

    def close(self) -> None:
        """Close the connections of threads, and drop those of event loops that have ended."""
        self.lessor.close()
        self._clients.abandon()
        if self._made_client is not None:
            self._made_client.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        if self.lessor.is_at_work:
            await asyncio.to_thread(self.lessor.close)
        await self._clients.aclose()

    def _begin_process(self) -> None:
        """Start again in a forked child: the connections belong to the parent."""
        self._lock = threading.Lock()
        self._made_client: Any = None
        self.lessor = Leases(self._address, self._prefix)
        self._breaker = Breaker(lambda: None, f"the store of {_CONTENTS[self._kind]}")

    @property
    def _client(self) -> Any:
        with self._lock:
            if self._made_client is None:
                self._made_client = self._address.client()
            return self._made_client

    def _client_of_loop(self) -> Any:
        loop = asyncio.get_running_loop()
        client = self._clients.made.get(loop)
        if client is None:
            client = self._clients.put(loop, self._address.async_client())
        return client

    def _without_server(self, request: Request) -> Answer:
        if isinstance(request, Nearest | Remember):
            return self._vectors.local(request)
        return None

    def _queue(self, commands: Any, request: Request, holder: bytes) -> None:
        """Put the commands of a request into one pipeline, which is one round trip.

        A cluster's pipeline must have been entered, or it forgets the commands.
        """
        if isinstance(request, Nearest | Remember):
            return self._vectors.queue(commands, request)
        name = self._prefix + request.key
        if isinstance(request, Save):
            time_ms = max(1, round(request.ttl_s * 1000))
            value = request.key.encode() + _TIME.pack(time_ms) + request.data
            commands.set(name, value, px=time_ms)
            return
        if isinstance(request, Claim):
            lease = self.lessor.name_of(request.key)
            commands.set(lease, holder, nx=True, px=LEASE_MS)
            commands.get(lease)
        # Read the entry after the lease: an earlier holder has stored it by now.
        commands.get(name)
        commands.pttl(name)

    def _answer(self, request: Request, answers: list[Any], holder: bytes) -> Answer:
        if isinstance(request, Nearest | Remember):
            return self._vectors.answer(request, answers)
        if isinstance(request, Save):
            return None
        found = _found(request.key, *answers[-2:])
        if isinstance(request, Lookup):
            return found
        if answers[1] != holder:
            return Claimed(found, is_free=answers[1] == FREE)
        lease = Lease(request.key, holder)
        self.lessor.hold(lease)
        return Claimed(found, lease)


def _found(name: str, value: Any, left_ms: Any) -> Found | None:
    key = name.encode()
    start = len(key) + _TIME.size
    if not isinstance(value, bytes) or not value.startswith(key) or len(value) < start:
        return None
    (time_ms,) = _TIME.unpack_from(value, len(key))
    if left_ms < 0:  # it expired between the two commands, or never expires: not ours
        return None
    return Found(value[start:], max(0, time_ms - left_ms) / 1000)
