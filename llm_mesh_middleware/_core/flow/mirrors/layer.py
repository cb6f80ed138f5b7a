"""The layer that copies requests; it is the innermost, so it copies what is really sent.

request ──> attempts ──> reply ──────────────> client
                           └─ Spawn ──> copy   only if the reply is not an error

The draw is made by the id of the request where it has one, so that all processes and all mirrors
of one percentage copy the same requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

from msgspec.structs import replace

from ...dialect import ServedOperation
from ...provider.health import ProviderHealth
from ...routing.mirror import Mirror
from ...values.endpoint import Endpoint
from ...values.messages import ClientRequest
from ...values.steps import Spawn
from ..attempts.context import CallContext
from ..call import Call
from ..reply import Flow
from .copy import Copy
from .outcome import MirrorOutcome, MirrorResult
from .primary import Primary
from .state import MirrorStates

__all__ = ["Mirroring", "is_drawn", "may_be_copied"]


class Mirroring:
    """The mirrors of one request's rule."""

    def __init__(
        self, mirrors: Sequence[Mirror], context: CallContext, states: MirrorStates
    ) -> None:
        self._mirrors = mirrors
        self._context = context
        self._states = states

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve `call`, and start the copies that were drawn once the reply begins."""
        drawn = self._drawn(call.request)
        if not drawn:
            return (yield from proceed(call))
        compares_content = any(mirror.compares_content for mirror in drawn)
        if compares_content:
            call = replace(call, request=replace(call.request, keeps_content=True))
        clock = self._context.clock
        primary = Primary(
            self._states.lock(),
            call.request.operation,
            began_at := clock(),
            clock,
            compares_content=compares_content,
        )
        call.account.at_end(primary.end)
        reply = yield from proceed(call)
        primary.first_byte_s = clock() - began_at
        if reply.status < 400:
            for mirror in drawn:
                copy = self._copy(mirror, call, primary)
                if copy is not None:
                    yield Spawn(copy.run())
        return reply

    def _drawn(self, request: ClientRequest) -> list[Mirror]:
        operation = request.operation
        if not isinstance(operation, ServedOperation) or not may_be_copied(operation, request):
            return []
        return [
            mirror
            for mirror in self._mirrors
            if operation in mirror.upstream.targets
            and is_drawn(request, mirror.percent, self._context.random)
        ]

    def _copy(self, mirror: Mirror, call: Call, primary: Primary) -> Copy | None:
        """Return a copy that has a slot; without one it is skipped rather than queued."""
        now, request, upstream = self._context.clock(), call.request, mirror.upstream
        health, endpoints = self._states.of(mirror), upstream.endpoints.now()
        reason = _obstacle(mirror, request, health, endpoints, now)
        lease = health.lease(now, body=request.body) if reason is None else None
        if lease is None:
            reason = reason or "skipped_busy"
            call.account.mirrored(MirrorOutcome(upstream.provider, upstream.model, reason))
            return None
        return Copy(
            mirror,
            endpoints[int(self._context.random() * len(endpoints))],
            health,
            lease,
            context=self._context,
            request=request,
            primary=primary,
            observation=call.account.mirroring(request),
            on_end=call.account.mirrored,
        )


def _obstacle(
    mirror: Mirror,
    request: ClientRequest,
    health: ProviderHealth,
    endpoints: Sequence[Endpoint],
    now: float,
) -> MirrorResult | None:
    if len(request.body) > mirror.max_body_bytes:
        return "skipped_too_large"
    return None if endpoints and health.is_available(now) else "skipped_ejected"


def is_drawn(request: ClientRequest, percent: float, random: Callable[[], float]) -> bool:
    """Return whether a request is one of the `percent` that are copied.

    Args:
        request: the client's; its request id decides, or its trace id.
        percent: from 0 to 100.
        random: returns numbers in [0, 1), for a request without any id.
    """
    headers = request.headers
    found = headers.get("x-request-id") or (headers.get("traceparent") or "")[3:35]
    if not found:
        return random() * 100.0 < percent
    digest = blake2b(found.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2.0**64 * 100.0 < percent


def may_be_copied(operation: ServedOperation, request: ClientRequest) -> bool:
    """Return whether a second call has no effects, and a response that is worth comparing.

    The provider must not store or continue anything, and a token count says nothing about a model.
    """
    if not operation.has_body or operation.counting is not None:
        return False
    if operation.continues_by in request.fields:
        return False
    return operation.dialect.answers.may_repeat_request(request.fields)
