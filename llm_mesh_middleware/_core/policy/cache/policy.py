"""The layer that answers a request from the cache, and keeps what its response may answer.

request  ── not for the cache ──────────────> attempts                        bypass
         ── kept ───────────────────────────> reply                           hit
         ── the same is under way ── waits ─> reply                           hit
         │                              └───> its call failed: one of those who wait calls
         └─ attempts ── complete ───────────> kept, for those who wait too    miss

It stands inside the guards of requests and outside those of responses: what is kept is masked.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from ....exceptions import CacheMiss
from ...caching.control import Control, read_control
from ...caching.entry import Entry, Found, Lookup, Save, pack, unpack
from ...caching.flights import Flight
from ...caching.key import NOT_IN_KEY, canonical_body, key_of
from ...dialect import Answers, ServedOperation
from ...flow.call import Call, Ending
from ...flow.reply import Flow, Reply
from ...limiting.limit import Part
from ...routing.matching import Match
from ...values.decision import Decision
from ...values.payload import read_bool, read_fields
from ...values.steps import Ask, Await, Body, Step, StepResult
from .told import told, whole_reply

__all__ = ["CachePolicy"]

# The longest that a request waits for an equal one before it makes a call of its own.
_WAIT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """The cache of one rule.

    Attributes:
        policy: namespace and name of the policy.
        rule: a digest of what the rule's providers are configured to do.
        guards: a digest of the guards of the rule.
        vary: what separates those who may not share a response.
        when: the requests it is for; none means all.
        ignore: members of the body that make no difference.
    """

    policy: str
    rule: bytes
    guards: bytes
    vary: tuple[Part, ...]
    ttl_s: float
    when: tuple[Match, ...] = ()
    ignore: frozenset[str] = frozenset()
    keeps_tool_calls: bool = False
    max_temperature: float | None = None
    max_entry_bytes: int = 2**20

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call from the cache if that is possible.

        Raises:
            CacheMiss: the client wants nothing but a cached response, and there is none.
        """
        control = read_control(call.request.headers.get("cache-control"))
        made = self._asked(call) if control.may_read or control.may_store else None
        if made is None:
            if control.is_only_cached:
                raise CacheMiss("there is no cached response to this request")
            return told((yield from proceed(call)), "bypass")
        return (yield from _Asking(self, call, proceed, *made).run(control))

    def key(self, call: Call) -> str | None:
        """Return the key of a call, None if it is not for the cache."""
        made = self._asked(call)
        return None if made is None else made[0]

    def _asked(self, call: Call) -> tuple[str, ServedOperation] | None:
        request, operation = call.request, call.request.operation
        if not isinstance(operation, ServedOperation) or not operation.has_body:
            return None
        answers = operation.dialect.answers
        if self.when and not any(match.holds(request) for match in self.when):
            return None
        scope = [part.read(request, "") for part in self.vary]
        if None in scope or not answers.may_repeat_request(request.fields):
            return None
        if self.max_temperature is not None:
            temperature = _number(request.fields.get("temperature"))
            if temperature is None or temperature > self.max_temperature:
                return None
        body = canonical_body(request.fields, NOT_IN_KEY | self.ignore)
        if body is None:
            return None
        is_stream = read_bool(request.fields, "stream") is True
        form = "" if operation.has_two_forms else f"stream={is_stream}"
        parts = (self.policy, *scope, operation.name, operation.dialect.name, form)
        where = (request.host, request.path, call.route, call.rule, self.rule, self.guards)
        return key_of((*parts, *where, body)), operation


class _Asking:
    """One request that may be answered from the cache."""

    def __init__(
        self,
        cache: CachePolicy,
        call: Call,
        proceed: Callable[[Call], Flow],
        key: str,
        operation: ServedOperation,
    ) -> None:
        self._cache = cache
        self._call = call
        self._proceed = proceed
        self._key = key
        self._has_two_forms = operation.has_two_forms
        self._answers: Answers = operation.dialect.answers
        fields = call.request.fields
        self._is_stream = read_bool(fields, "stream") is True
        options = read_fields(fields, "stream_options")
        self._wants_usage = read_bool(options, "include_usage") is True
        self._ending: Ending | None = None
        if call.cache is None:
            raise RuntimeError("a cache needs a store")
        self._store = call.cache

    def run(self, control: Control) -> Flow:
        """Return a reply from the cache, or the one of a call."""
        call = self._call
        if control.may_read:
            found = yield from self._look_up(control)
            if found is not None:
                return self._hit(*found)
        if control.is_only_cached:
            raise CacheMiss("there is no cached response to this request")
        if not control.may_store:
            return told((yield from self._proceed(call)), "bypass")
        if not control.may_read:
            return (yield from self._miss(None))
        deadline = call.deadline.or_sooner(call.clock(), "request", _WAIT_S)
        while True:
            flight, is_first = call.flights.board(self._key)
            if is_first:
                return (yield from self._miss(flight))
            yield Await(flight.on_landing, deadline)
            if isinstance(flight.outcome, Entry):
                return self._hit(flight.outcome, 0.0)
            if not flight.is_worth_another or call.clock() >= deadline.at:
                return (yield from self._miss(None))

    def _look_up(self, control: Control) -> Generator[Step, StepResult, tuple[Entry, float] | None]:
        """Return an entry that is good enough and its age; a store that fails has none."""
        found = yield Ask(self._store, Lookup(self._key))
        if not isinstance(found, Found) or found.age_s > self._cache.ttl_s:
            return None
        if control.max_age_s is not None and found.age_s > control.max_age_s:
            return None
        entry = unpack(found.data)
        return None if entry is None else (entry, found.age_s)

    def _hit(self, entry: Entry, age_s: float) -> Reply:
        """Return a kept response in the form that is asked for; it costs nothing."""
        body = entry.body
        if self._is_stream and not entry.is_stream:
            body = self._answers.split(body, include_usage=self._wants_usage)
        self._tell("hit")
        self._call.account.ended(200, None, None)
        return whole_reply(body, is_stream=self._is_stream, age_s=age_s)

    def _miss(self, flight: Flight | None) -> Flow:
        """Make the call, and keep its response if it is worth that."""
        call = self._call
        self._tell("miss")
        call.account.at_end(self._note)
        try:
            reply = yield from self._proceed(call)
            if not isinstance(reply.body, bytes):
                return told(replace(reply, body=self._body(reply, reply.body, flight)), "miss")
            entry = self._entry(reply, reply.body)
            if entry is not None:
                yield from self._save(entry)
        except BaseException:
            self._land(flight, None, is_worth_another=True)
            raise
        self._land(flight, entry, is_worth_another=reply.status >= 400)
        return told(reply, "miss")

    def _body(self, reply: Reply, body: Body, flight: Flight | None) -> Body:
        """Pass on a stream, and keep it when it has come to its end."""
        kept: list[bytes] | None = []
        size = 0
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
                if kept is not None and isinstance(item, bytes):
                    kept.append(item)
                    size += len(item)
                    if size > 4 * self._cache.max_entry_bytes:
                        kept = None
                try:
                    value = yield item
                except GeneratorExit:
                    body.close()
                    raise
                except BaseException as reason:  # for the response to deal with
                    advance, value, kept = body.throw, reason, None
            if kept is not None:
                entry = self._entry(reply, b"".join(kept))
            if entry is not None:
                yield from self._save(entry)
        finally:
            self._land(flight, entry, is_worth_another=not is_whole or kept is None)

    def _entry(self, reply: Reply, body: bytes) -> Entry | None:
        """Return what may be kept of a response: a whole one that has succeeded."""
        if reply.status != 200 or len(body) > 4 * self._cache.max_entry_bytes:
            return None
        is_events = dict(reply.headers).get(b"content-type", b"").startswith(b"text/event-stream")
        whole: bytes | None = body
        if is_events:
            usage = None if self._ending is None else self._ending.usage
            whole = self._answers.join(body, usage)
        if whole is None or not self._answers.may_repeat(
            whole, tool_calls=self._cache.keeps_tool_calls
        ):
            return None
        if self._has_two_forms:
            body = whole
        if is_events is not self._is_stream or len(body) > self._cache.max_entry_bytes:
            return None
        return Entry(body, is_stream=is_events and not self._has_two_forms)

    def _save(self, entry: Entry) -> Generator[Step, StepResult, None]:
        yield Ask(self._store, Save(self._key, pack(entry), self._cache.ttl_s))

    def _land(self, flight: Flight | None, entry: Entry | None, *, is_worth_another: bool) -> None:
        if flight is not None:
            flight.land(entry, is_worth_another=is_worth_another)
            self._call.flights.end(self._key, flight)

    def _note(self, ending: Ending) -> None:
        self._ending = ending

    def _tell(self, result: str) -> None:
        self._call.account.decided(Decision(self._cache.policy, "cache", "cache", result))


def _number(value: msgspec.Raw | None) -> float | None:
    try:
        return None if value is None else msgspec.json.decode(value, type=float)
    except msgspec.MsgspecError:
        return None
