"""The cache of a rule: which requests it is for, and the key of each.

It stands inside the guards of requests and outside those of responses: what is kept is masked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ....exceptions import CacheMiss
from ...caching.control import read_control
from ...caching.key import NOT_IN_KEY, key_of
from ...dialect import ServedOperation
from ...flow.call import Call
from ...flow.reply import Flow
from ...limiting.item import Part
from ...provider.upstream import Upstream
from ...routing.matching import Match
from ...values.decision import Told
from ...values.messages import ClientRequest
from .asking import Asking, Keeping, Retell
from .identity import asked_of
from .told import told

__all__ = ["CachePolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """The cache of one rule.

    Attributes:
        policy: namespace and name of the policy.
        rule: a digest of the rule's name and of what its providers are configured to do.
        guards: a digest of the guards of the rule.
        upstreams: the providers of the rule, asked for JSON; what they would be asked is in the
            key.
        retell: returns a response in the dialect of another client.
        vary: what separates those who may not share a response.
        when: the requests it is for; none means all.
        ignore: members of the body that make no difference.
    """

    policy: str
    rule: bytes
    guards: bytes
    upstreams: tuple[Upstream, ...]
    retell: Retell
    vary: tuple[Part, ...]
    ttl_s: float
    when: tuple[Match, ...] = ()
    ignore: frozenset[str] = frozenset()
    keeps_tool_calls: bool = False
    max_temperature: float | None = None
    max_entry_bytes: int = 2**20
    stale_s: float = 0.0

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call from the cache if that is possible.

        Raises:
            CacheMiss: the client wants nothing but a cached response, and there is none.
        """
        control = read_control(call.request.headers.get("cache-control"))
        wants = control.may_read or control.may_store
        made = self._asked(call.request) if wants else None
        if made is None:
            if control.is_only_cached:
                raise CacheMiss("there is no cached response to this request")
            return told((yield from proceed(call)), "bypass")
        key, operation = made
        keeping = Keeping(
            self.policy, self.ttl_s, self.stale_s, self.keeps_tool_calls, self.max_entry_bytes
        )
        asking = Asking(keeping, call, proceed, key, operation, control, self.retell)
        return (yield from asking.run())

    def explain(self, request: ClientRequest, provider: str, now: float) -> Iterator[Told]:
        """Yield what the cache has to do with a request."""
        holds, text = False, "no `when` of it matches"
        if not self.when or any(match.holds(request) for match in self.when):
            missing = [str(part) for part in self.vary if part.read(request, provider) is None]
            holds = not missing
            by = ", ".join(str(part) for part in self.vary)
            scope = f"for each {by}" if by else "for everybody"
            text = f"equal requests are answered for {self.ttl_s:g} s {scope}"
            if missing:
                text = f"the request has no {missing[0]}, by which it varies"
            elif (made := self._asked(request)) is not None:
                text += f"; the key of this one begins with {made[0][:12]}"
            else:
                holds, text = False, "the request is not one whose response may be repeated"
        yield Told(self.policy, "cache", "cache", holds, text, provider)

    def _asked(self, request: ClientRequest) -> tuple[str, ServedOperation] | None:
        """Return the key of a request and its operation; None if it is not for the cache."""
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
        if self.max_temperature is not None:
            temperature = answers.temperature(request.fields)
            if temperature is None or temperature > self.max_temperature:
                return None
        asked = asked_of(self.upstreams, request, operation, NOT_IN_KEY | self.ignore)
        if asked is None:
            return None
        has_two_forms = operation.has_two_forms or answers.has_two_forms
        form = "" if has_two_forms else f"stream={operation.wants_stream(request)}"
        where = (request.host, self.rule, self.guards)
        return key_of((self.policy, *scope, *where, form, *asked)), operation
