"""The cache of a rule: the requests that it is for, and their keys.

It is inside the request guards and outside the response guards, so entries are masked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from ....exceptions import CacheMiss
from ...caching.control import read_control
from ...caching.key import NOT_IN_KEY, key_of
from ...dialect import ServedOperation
from ...flow.call import Call
from ...flow.reply import Flow
from ...limiting.item import Part
from ...private import Memory
from ...provider.upstream import Upstream
from ...routing.matching import Match
from ...side_calls.service import Service
from ...values.decision import ItemExplanation
from ...values.messages import ClientRequest
from .cache_request import CacheRequest, Parts
from .cached_call import CachedCall, Keeping, TranslateResponse
from .header_fields import with_result
from .identity import features_of, provider_requests
from .semantic import Semantic

__all__ = ["CachePolicy"]

_MAX_KNOWN = 4096


class CachePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The cache of one rule.

    Attributes:
        policy: namespace and name of the policy.
        rule: a digest of the rule's name and of the configuration of its providers.
        guards: a digest of the guards of the rule.
        guards_when: the conditions of those that are not for all requests: a response that a guard
            did not check is not for requests that it checks.
        upstreams: the providers of the rule, asked for JSON; their requests are in the key.
        translate: translates a response for a client of another dialect.
        vary: what requests must have in common to share a response.
        when: the requests it is for; none means all.
        ignore: members of the body that do not change the response.
        semantic: finds the entries of similar requests; None if they are not used.
        service: stores the responses; None for the store.
    """

    policy: str
    rule: bytes
    guards: bytes
    upstreams: tuple[Upstream, ...]
    translate: TranslateResponse
    vary: tuple[Part, ...]
    ttl_s: float
    guards_when: tuple[tuple[Match, ...], ...] = ()
    when: tuple[Match, ...] = ()
    ignore: frozenset[str] = frozenset()
    keeps_tool_calls: bool = False
    max_temperature: float | None = None
    max_entry_bytes: int = 2**20
    stale_s: float = 0.0
    semantic: Semantic | None = None
    service: Service | None = None
    # Keys by digests of what clients have sent: to make one takes longer than the rest of a hit.
    known: Memory[str, str] = msgspec.field(default_factory=Memory)

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call from the cache if that is possible.

        Raises:
            CacheMiss: the client accepts only a cached response, and there is none.
        """
        control = read_control(call.request.headers.get("cache-control"))
        wants = control.may_read or control.may_store
        asked = self._asked(call.request) if wants else None
        if asked is None:
            if control.is_only_cached:
                raise CacheMiss("there is no cached response to this request")
            return with_result((yield from proceed(call)), "bypass")
        keeping = Keeping(
            self.policy,
            self.ttl_s,
            self.stale_s,
            self.keeps_tool_calls,
            self.max_entry_bytes,
            self.semantic,
            self.service,
        )
        asking = CachedCall(keeping, call, proceed, asked, control, self.translate)
        return (yield from asking.run())

    def explain(
        self, request: ClientRequest, provider: str, now: float
    ) -> Iterator[ItemExplanation]:
        """Yield whether the cache applies to a request, and why."""
        asked = self._asked(request)
        text = self._why_not(request, provider)
        if asked is not None:
            by = ", ".join(str(part) for part in self.vary)
            text = f"equal requests are answered for {self.ttl_s:g} s"
            text += f" for each {by}" if by else " for everybody"
            text += f"; the key of this one begins with {asked.key[:12]}"
        yield ItemExplanation(self.policy, "cache", "cache", asked is not None, text, provider)
        if asked is not None and self.semantic is not None:
            yield self._explain_semantic(self.semantic, asked, provider)

    def _why_not(self, request: ClientRequest, provider: str) -> str:
        if self.when and not any(match.holds(request) for match in self.when):
            return "no `when` of it matches"
        for part in self.vary:
            if part.read(request, provider) is None:
                return f"the request has no {part}, by which it varies"
        if self._is_too_warm(request):
            return f"it is for requests that set a temperature of at most {self.max_temperature:g}"
        return "the request is not one whose response may be repeated"

    def _is_too_warm(self, request: ClientRequest) -> bool:
        """Return whether its temperature is too high, or its own is unknown."""
        operation, most = request.operation, self.max_temperature
        if most is None or not isinstance(operation, ServedOperation):
            return False
        temperature = operation.dialect.answers.temperature(request.fields)
        return temperature is None or temperature > most

    def _explain_semantic(
        self, semantic: Semantic, asked: CacheRequest, provider: str
    ) -> ItemExplanation:
        question = asked.question(semantic.embedder.identity)
        text = "its last message is not a user's, not only text, or too long to be compared"
        if question is not None:
            host, model = semantic.embedder.identity
            what = "is reported" if semantic.is_shadow else "is used"
            text = (
                f"an entry whose vector by {model} of {host} has a cosine of {semantic.threshold:g}"
            )
            text += (
                f" or more {what}; the partition of this one begins with {question.partition[:12]}"
            )
        return ItemExplanation(
            self.policy, "semantic", "semantic", question is not None, text, provider
        )

    def _guards_of(self, request: ClientRequest) -> Iterator[str]:
        """Yield which of the guards with conditions hold for a request."""
        for conditions in self.guards_when:
            yield f"guarded={any(match.holds(request) for match in conditions)}"

    def _asked(self, request: ClientRequest) -> CacheRequest | None:
        """Return the request with its key, or None if the cache does not apply."""
        operation = request.operation
        if not isinstance(operation, ServedOperation) or not operation.has_body:
            return None
        if operation.streams and not operation.wants_stream(request):
            return None  # a stream that is one JSON value
        answers = operation.dialect.answers
        if self.when and not any(match.holds(request) for match in self.when):
            return None
        scope = [part.read(request, "") for part in self.vary]
        if None in scope or not answers.may_repeat_request(request.fields):
            return None
        if self._is_too_warm(request):
            return None
        has_two_forms = operation.has_two_forms or answers.has_two_forms
        form = "" if has_two_forms else f"stream={operation.wants_stream(request)}"
        where: Parts = (request.host, self.rule, self.guards, *self._guards_of(request))

        def parts_of(request: ClientRequest) -> Parts | None:
            asked = provider_requests(self.upstreams, request, operation, NOT_IN_KEY | self.ignore)
            return None if asked is None else (self.policy, *scope, *where, form, *asked)

        sent = (*scope, *where, request.path, request.query, form, *features_of(request))
        digest = key_of((*sent, request.model, request.body))
        key = self.known.get(digest)
        if key is None:
            parts = parts_of(request)
            if parts is None:
                return None
            key = key_of(parts)
            if len(self.known) >= _MAX_KNOWN:
                self.known.clear()
            self.known[digest] = key
        return CacheRequest(key, operation, request, parts_of)
