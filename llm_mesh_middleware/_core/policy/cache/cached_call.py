"""One request that the cache may answer.

request  ── has an entry ───────────────────> reply                           hit
         ── a similar one has an entry ─────> reply                           hit
         ── an equal one is under way, wait ─> reply                          hit
         │                              └───> it failed: one of the waiting requests calls
         └─ attempts ── complete ───────────> stored, also for waiting requests    miss
                └────── all failed ─────────> reply, if there is an old entry      stale

The first of equal requests looks up for all, so that none of them misses an entry that is stored
between its own look-up and its call.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from ....exceptions import CacheMiss, UpstreamError
from ...caching.control import Control
from ...caching.entry import Entry, Found, Lookup, unpack
from ...caching.flights import Flight
from ...dialect import Answers
from ...flow.call import Call
from ...flow.reply import Flow, Reply
from ...side_calls.service import Service
from ...values.decision import Decision
from ...values.messages import ClientRequest
from ...values.payload import read_bool, read_fields
from ...values.steps import Await, Body, Outlive, Step, StepResult
from .cache_request import CacheRequest
from .header_fields import kept_reply, with_result, with_similarity
from .keepers import Keeper, ServiceKeeper, StoreKeeper
from .other_process import OtherProcess
from .semantic import Search, Semantic

__all__ = ["CachedCall", "Keeping", "TranslateResponse"]

# Statuses of a provider that fails or refuses for reasons of its own (RFC 5861 4, and 429).
_FAILED = frozenset((429, 500, 502, 503, 504, 529))

# The longest wait for a call whose own client reads too slowly.
_PATIENCE_S = 30.0


# Translates a whole response of the named dialect for the client of a request; None if impossible.
TranslateResponse = Callable[[bytes, str, ClientRequest], bytes | None]


class Keeping(msgspec.Struct, frozen=True):
    """A policy's settings for entries.

    `stale_s` is how long after `ttl_s` an entry may still be used if the providers fail.
    """

    policy: str
    ttl_s: float
    stale_s: float
    tool_calls: bool
    max_bytes: int
    semantic: Semantic | None = None
    service: Service | None = None


class _Kept(msgspec.Struct, frozen=True):
    """An entry and its age; a stale one is used only if the providers fail.

    `similarity` is that of the request that it was stored for, None if that was equal.
    """

    entry: Entry
    age_s: float = 0.0
    is_stale: bool = False
    similarity: float | None = None


class CachedCall:
    """One request that the cache may answer."""

    def __init__(
        self,
        keeping: Keeping,
        call: Call,
        proceed: Callable[[Call], Flow],
        asked: CacheRequest,
        control: Control,
        translate: TranslateResponse,
    ) -> None:
        """Take the arguments of the layer's call, with the request's key and its Cache-Control."""
        self._control = control
        self._translate = translate
        self._keeping = keeping
        self._call = call
        self._proceed = proceed
        self._key = asked.key
        operation = asked.operation
        self._answers: Answers = operation.dialect.answers
        self._has_two_forms = operation.has_two_forms or self._answers.has_two_forms
        self._dialect = operation.dialect.name
        self._is_stream = operation.wants_stream(call.request)
        if call.state.cache is None:
            raise RuntimeError("a cache needs a store")
        self._keeper: Keeper = StoreKeeper(call.state.cache)
        if keeping.service is not None:
            self._keeper = ServiceKeeper(
                keeping.service,
                call,
                self._answers,
                self._dialect,
                tool_calls=keeping.tool_calls,
            )
        self._elsewhere: OtherProcess | None = None
        if keeping.service is None and call.state.cache.lessor is not None:
            self._elsewhere = OtherProcess(call, call.state.cache, self._key)
        self._search: Search | None = None
        if keeping.semantic is not None:
            self._search = Search(keeping.policy, keeping.semantic, asked, call, call.state.cache)

    def run(self) -> Flow:
        """Return a reply from the cache, or the reply of a call.

        Raises:
            CacheMiss: the client accepts only a cached response, and there is none.
        """
        control = self._control
        if control.is_only_cached:
            kept = (yield from self._look_up(self._key)) if control.may_read else None
            if kept is None or kept.is_stale or not control.accepts(kept.age_s):
                raise CacheMiss("there is no cached response to this request")
            return self._hit(kept)
        if not control.may_store:
            return with_result((yield from self._proceed(self._call)), "bypass")
        if not control.may_read:
            return (yield from self._miss(None))
        kept = self._kept_here()
        if kept is not None and not kept.is_stale and control.accepts(kept.age_s):
            return self._hit(kept)
        return (yield from self._shared())

    def _kept_here(self) -> _Kept | None:
        """Return what is kept in the memory of this process, where that is where it is kept.

        It needs no flight, since nobody else is made to wait for the answer.
        """
        store: Any = self._call.state.cache
        if self._keeping.service is not None or not getattr(store, "answers_at_once", False):
            return None
        found = store.ask(Lookup(self._key), None)
        entry = None if found is None else unpack(found.data)
        return None if entry is None else self._read(entry, found.age_s)

    def _shared(self) -> Flow:
        """Look up and call once for all equal requests."""
        call = self._call
        while True:
            flight, is_first = call.state.flights.board(self._key)
            if is_first:
                return (yield from self._lead(flight))
            try:
                yield from self._wait(flight)
            finally:
                flight.leave()
            kept = flight.outcome
            if isinstance(kept, _Kept) and (kept := self._translated(kept)) is not None:
                if self._control.accepts(kept.age_s):
                    return self._hit(kept)
                return (yield from self._miss(None))
            if not flight.is_worth_another:
                return (yield from self._miss(None))

    def _wait(self, flight: Flight) -> Generator[Step, StepResult, None]:
        """Wait until the flight has landed.

        Raises:
            UpstreamTimeout: the time of the request is up.
        """
        call = self._call
        self._report("waits")
        while not flight.has_landed:
            now = call.clock()
            if now >= call.deadline.at:
                raise call.deadline.error()
            yield Await(flight.on_landing, call.deadline.or_sooner(now, "request", _PATIENCE_S))
            if flight.is_held:
                self._land(flight, None, is_worth_another=True)

    def _lead(self, flight: Flight) -> Flow:
        """Look up or make the call, also for the requests that wait."""
        try:
            kept = yield from self._look_up(self._key)
            if self._elsewhere is not None and (kept is None or kept.is_stale):
                kept = (yield from self._await_others(self._elsewhere)) or kept
            if self._search is not None and (kept is None or kept.is_stale):
                kept = (yield from self._look_for_similar(self._search)) or kept
        except BaseException:
            self._land(flight, None, is_worth_another=True)
            raise
        if kept is None or kept.is_stale:
            return (yield from self._miss(flight, kept))
        self._land(flight, kept, is_worth_another=False)
        if self._control.accepts(kept.age_s):
            return self._hit(kept)
        return (yield from self._miss(None))

    def _look_up(self, key: str) -> Generator[Step, StepResult, _Kept | None]:
        """Return the entry of a key if it is still valid; a store that fails has none."""
        found = yield from self._keeper.look_up(key)
        return None if found is None else self._read(*found)

    def _await_others(self, elsewhere: OtherProcess) -> Generator[Step, StepResult, _Kept | None]:
        """Return the entry of another process that makes the same call; None to call here."""

        def fresh(found: Found) -> _Kept | None:
            entry = unpack(found.data)
            kept = None if entry is None else self._read(entry, found.age_s)
            return None if kept is None or kept.is_stale else kept

        waits = partial(self._report, "waits")
        return (yield from elsewhere.wait(fresh, waits, patience_s=_PATIENCE_S))

    def _read(self, entry: Entry, age_s: float) -> _Kept | None:
        keeping = self._keeping
        if age_s > keeping.ttl_s + keeping.stale_s:
            return None
        return self._translated(_Kept(entry, age_s, age_s > keeping.ttl_s))

    def _translated(self, kept: _Kept) -> _Kept | None:
        """Return an entry in the client's dialect, or None if it cannot be translated."""
        entry = kept.entry
        if entry.dialect == self._dialect:
            return kept
        body = self._translate(entry.body, entry.dialect, self._call.request)
        if body is None:
            return None
        return replace(kept, entry=replace(entry, body=body, dialect=self._dialect))

    def _look_for_similar(self, search: Search) -> Generator[Step, StepResult, _Kept | None]:
        """Return the entry of a similar request, if it may be used."""
        for near in (yield from search.nearest()):
            kept = yield from self._look_up(near.key)
            if kept is not None and not kept.is_stale and self._control.accepts(kept.age_s):
                if search.is_answered(near, kept.entry):
                    return _Kept(kept.entry, kept.age_s, similarity=near.similarity)
                return None
        search.is_answered(None, None)
        return None

    def _hit(self, kept: _Kept) -> Reply:
        """Return a cached response in the form that the client asked for; it costs nothing."""
        entry = kept.entry
        body = entry.body
        if self._is_stream and not entry.is_stream:
            options = read_fields(self._call.request.fields, "stream_options")
            wants_usage = read_bool(options, "include_usage") is True
            body = self._answers.split(body, include_usage=wants_usage)
        result = "stale" if kept.is_stale else "hit"
        self._report(result, saved=entry.tokens)
        self._call.account.ended(200, None, None)
        shown = result if kept.similarity is None else with_similarity(result, kept.similarity)
        return kept_reply(body, shown, is_stream=self._is_stream, age_s=kept.age_s)

    def _miss(self, flight: Flight | None, stale: _Kept | None = None) -> Flow:
        """Make the call, and store its response if it may be; use `stale` if the call fails."""
        if stale is not None and not self._control.accepts(stale.age_s):
            stale = None
        call = self._call
        self._report("miss")
        call.account.counts_all = True
        try:
            if flight is not None:
                yield Outlive(flight)
            try:
                reply = yield from self._proceed(call)
            except UpstreamError:
                if stale is None:
                    raise
                return self._without_providers(flight, stale)
            if stale is not None and reply.status in _FAILED:
                return self._without_providers(flight, stale)
            if not isinstance(reply.body, bytes):
                return self._missed(replace(reply, body=self._body(reply, reply.body, flight)))
            entry = self._entry(reply, reply.body)
            if entry is not None:
                yield from self._save(entry)
        except BaseException:
            self._land(flight, None, is_worth_another=True)
            raise
        self._land(flight, entry, is_worth_another=reply.status >= 400)
        return self._missed(reply)

    def _missed(self, reply: Reply) -> Reply:
        """Return the reply of a call, with the similarity if there was a similar request."""
        similarity = None if self._search is None else self._search.similarity
        return with_result(
            reply, "miss" if similarity is None else with_similarity("miss", similarity)
        )

    def _without_providers(self, flight: Flight | None, stale: _Kept) -> Reply:
        self._land(flight, stale, is_worth_another=False)
        return self._hit(stale)

    def _body(self, reply: Reply, body: Body, flight: Flight | None) -> Body:
        """Pass on a stream, and store it at its end."""
        kept: list[bytes] | None = []
        size, limit = 0, 4 * self._keeping.max_bytes
        advance: Any = body.send
        value: Any = None
        entry, is_whole = None, False
        try:
            while True:
                try:
                    item = advance(value)
                except StopIteration:
                    is_whole = True
                    break
                advance, value = body.send, None
                is_held = isinstance(item, bytes)
                if is_held and kept is not None:
                    kept.append(item)
                    size += len(item)
                    if size > limit:
                        kept = None
                        self._land(flight, None, is_worth_another=False)
                try:
                    if flight is not None:
                        flight.is_held = is_held
                    value = yield item
                except GeneratorExit:
                    body.close()
                    raise
                except BaseException as reason:  # thrown into the response's body
                    advance, value, kept = body.throw, reason, None
            if kept is not None:
                entry = self._entry(reply, b"".join(kept))
            if entry is not None:
                yield from self._save(entry)
        finally:
            self._land(flight, entry, is_worth_another=not is_whole or kept is None)

    def _entry(self, reply: Reply, body: bytes) -> Entry | None:
        """Return the entry of a response, or None if it must not be stored.

        That of a fallback is not: it would replace the preferred provider's when that is back.
        """
        if reply.status != 200 or self._call.account.is_fallback:
            return None
        if len(body) > 4 * self._keeping.max_bytes:
            return None
        is_events = dict(reply.headers).get(b"content-type", b"").startswith(b"text/event-stream")
        whole: bytes | None = body
        if is_events:
            whole = self._answers.join(body, self._call.account.usage)
        if whole is None or not self._answers.may_repeat(
            whole, tool_calls=self._keeping.tool_calls
        ):
            return None
        if self._has_two_forms:
            body = whole
        elif is_events is not self._is_stream:
            return None
        if len(body) > self._keeping.max_bytes:
            return None
        usage = self._call.account.usage
        tokens = 0 if usage is None else usage.input_tokens + usage.output_tokens
        return Entry(body, is_events and not self._has_two_forms, tokens, self._dialect)

    def _save(self, entry: Entry) -> Generator[Step, StepResult, None]:
        keeping = self._keeping
        yield from self._keeper.save(self._key, entry, keeping.ttl_s + keeping.stale_s)
        if self._search is not None:
            yield from self._search.learn(self._key, entry, keeping.ttl_s)

    def _land(
        self, flight: Flight | None, entry: Entry | _Kept | None, *, is_worth_another: bool
    ) -> None:
        if self._elsewhere is not None:
            self._elsewhere.release(is_given_up=entry is None and not is_worth_another)
        if flight is not None:
            outcome = _Kept(entry) if isinstance(entry, Entry) else entry
            flight.land(outcome, is_worth_another=is_worth_another)
            self._call.state.flights.end(self._key, flight)

    def _report(self, result: str, *, saved: int = 0) -> None:
        decision = Decision(self._keeping.policy, "cache", "cache", result, of=saved)
        self._call.account.decided(decision)
