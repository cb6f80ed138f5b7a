"""Cached responses in Redis or Valkey, shared by processes and machines.

    PREFIX:cache:KEY   the key again, its whole time in milliseconds, the entry; ends by itself

An entry is as old as its time has run by the clock of the server. The key in the value is compared:
a connection that is out of step cannot bring the response of somebody else. A server that is away
has nothing and keeps nothing, and nobody waits for it (`breaker`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any
from weakref import WeakKeyDictionary

from ...._core.caching.entry import Found, Lookup, Request, Save
from ...._core.caching.semantic.likeness import Near
from ...._process.forks import follow_forks
from ..likeness import Likeness
from .breaker import Breaker
from .connecting import FAILURES, Address

__all__ = ["RedisCache"]

_TIME = Struct(">Q")
_CONTENTS = {"cache": "cached responses", "response": "the providers of responses"}


class RedisCache:
    """Entries on a server; keys begin with `prefix`."""

    def __init__(
        self, url: str, *, timeout_s: float = 0.05, prefix: str = "llm-mesh", kind: str = "cache"
    ) -> None:
        """As `RedisStore`; connect to nothing yet. `kind` keeps apart what else is kept so."""
        self._address = Address.of(url, timeout_s)
        self._prefix, self._kind = f"{prefix}:{kind}:", kind
        self._likeness = Likeness()
        self._begin_process()
        follow_forks(self)

    def __repr__(self) -> str:
        return "RedisCache()"

    def ask(self, request: Request, until: float | None) -> Found | Sequence[Near] | None:
        """Look up or save, in this thread."""
        if not isinstance(request, Lookup | Save):
            return self._likeness.ask(request)
        if not self._breaker.allows():
            return None
        try:
            with self._commands(self._client, request) as commands:
                answers = commands.execute()
        except FAILURES as error:
            self._breaker.failed(error)
            return None
        self._breaker.succeeded()
        return _found(request, answers)

    async def aask(self, request: Request, until: float | None) -> Found | Sequence[Near] | None:
        """Look up or save, in the running event loop."""
        if not isinstance(request, Lookup | Save):
            return self._likeness.ask(request)
        if not self._breaker.allows():
            return None
        try:
            async with asyncio.timeout(self._address.timeout_s):
                async with self._commands(self._client_of_loop(), request) as commands:
                    answers = await commands.execute()
        except FAILURES as error:
            self._breaker.failed(error)
            return None
        self._breaker.succeeded()
        return _found(request, answers)

    def close(self) -> None:
        """Close the connections of threads."""
        if self._made_client is not None:
            self._made_client.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def _begin_process(self) -> None:
        """Begin anew in a forked child: the connections are the parent's."""
        self._lock = threading.Lock()
        self._made_client: Any = None
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()
        self._breaker = Breaker(lambda: None, f"the store of {_CONTENTS[self._kind]}")

    @property
    def _client(self) -> Any:
        with self._lock:
            if self._made_client is None:
                self._made_client = self._address.client()
            return self._made_client

    def _client_of_loop(self) -> Any:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = self._address.async_client()
        return client

    def _commands(self, client: Any, request: Lookup | Save) -> Any:
        """Return the commands of a request in one pipeline, which is one round trip."""
        pipeline: Callable[..., Any] = client.pipeline
        commands, name = pipeline(transaction=False), self._prefix + request.key
        if isinstance(request, Save):
            time_ms = max(1, round(request.ttl_s * 1000))
            value = request.key.encode() + _TIME.pack(time_ms) + request.data
            commands.set(name, value, px=time_ms)
        else:
            commands.get(name)
            commands.pttl(name)
        return commands


def _found(request: Lookup | Save, answers: list[Any]) -> Found | None:
    if isinstance(request, Save):
        return None
    value, left_ms = answers
    key = request.key.encode()
    start = len(key) + _TIME.size
    if not isinstance(value, bytes) or not value.startswith(key) or len(value) < start:
        return None
    (time_ms,) = _TIME.unpack_from(value, len(key))
    if left_ms < 0:  # it has ended between the two commands, or never ends: not ours
        return None
    return Found(value[start:], max(0, time_ms - left_ms) / 1000)
