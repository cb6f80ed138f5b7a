"""A side call: its response is read to the end, or it fails."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import msgspec

from ...exceptions import AnswerableError, UpstreamError, UpstreamTimeout
from ..dialect import ServedOperation, WholeAnswer
from ..http.hops import next_hops
from ..pricing.charge import Charge
from ..provider.upstream import Upstream
from ..values.endpoint import Endpoint
from ..values.headers import Headers
from ..values.messages import ClientRequest, Deadline, Failure, ResponseHead, UpstreamRequest
from ..values.payload import decode_fields
from ..values.steps import Read, Send, Step
from ..values.summary import AnswerSummary

__all__ = [
    "SideCallContext",
    "SideCallFailed",
    "call_provider",
    "call_whole",
    "cause_of",
    "make_call",
]

# A verdict is short, and findings or vectors are not much longer than the texts they are about.
_MAX_BYTES = 4 * 2**20


class SideCallFailed(Exception):
    """The call has no usable response; `cause` says why, without quoting it."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(cause)


class SideCallContext(msgspec.Struct, frozen=True):
    """The properties of a client's call that a side call needs.

    Attributes:
        deadline: the deadline of the side call.
        headers: the client's; only the hops are used.
        mesh_id: the name of the mesh among the hops.
        charged: called with the cost of the side call.
    """

    deadline: Deadline
    headers: Headers
    mesh_id: str
    wall_clock: Callable[[], float]
    charged: Callable[[Charge], None]


def make_call(
    endpoint: Endpoint,
    target: str,
    headers: tuple[tuple[bytes, bytes], ...],
    body: bytes,
    context: SideCallContext,
    *,
    method: str = "POST",
) -> UpstreamRequest:
    """Return a request; its hops let other meshes detect loops."""
    hops = next_hops(context.headers, context.mesh_id, endpoint)
    return UpstreamRequest(
        endpoint=endpoint,
        method=method,
        target=target,
        headers=headers if hops is None else (*headers, hops),
        body=body,
        connect_timeout_s=context.deadline.limit_s,
    )


def call_whole(
    request: UpstreamRequest, context: SideCallContext
) -> Generator[Step, Any, tuple[ResponseHead, bytes]]:
    """Return the head and the body of the response.

    Raises:
        SideCallFailed: there is no complete response.
    """
    head = yield Send(request, context.deadline)
    if isinstance(head, Failure):
        raise SideCallFailed(cause_of(head.error))
    read, size = Read(context.deadline), 0
    chunks: list[bytes] = []
    while True:
        chunk = yield read
        if isinstance(chunk, Failure):
            raise SideCallFailed(cause_of(chunk.error))
        if not chunk:
            return head, b"".join(chunks)
        chunks.append(chunk)
        size += len(chunk)
        # A response without an end must not fill the memory.
        if size > _MAX_BYTES:
            raise SideCallFailed("too_long")


def call_provider(
    upstream: Upstream,
    operation: ServedOperation,
    body: bytes,
    context: SideCallContext,
    *,
    model: str | None,
    purpose: str,
) -> Generator[Step, Any, WholeAnswer]:
    """Return a provider's whole response to a request in the form of `operation`.

    Args:
        upstream: the provider.
        operation: the operation to call.
        body: the request; it is translated for a provider of another dialect.
        context: the context of the side call; the cost is charged to it.
        model: the requested model.
        purpose: the purpose of the call; it distinguishes ids that a translation makes.

    Raises:
        SideCallFailed: there is no response, or an error.
    """
    try:
        return (yield from _answer(upstream, operation, body, context, model, purpose))
    except UpstreamError as error:
        raise SideCallFailed(cause_of(error)) from None
    except AnswerableError:  # the provider's dialect cannot express the request
        raise SideCallFailed("unsupported") from None


def cause_of(error: UpstreamError) -> str:
    """Return the cause of a failed call as a code."""
    return "timeout" if isinstance(error, UpstreamTimeout) else error.code


def _answer(
    upstream: Upstream,
    operation: ServedOperation,
    body: bytes,
    context: SideCallContext,
    model: str | None,
    purpose: str,
) -> Generator[Step, Any, WholeAnswer]:
    request = ClientRequest(
        "POST",
        operation.suffix,
        Headers(()),
        body,
        operation=operation,
        fields=decode_fields(body),
        model=model,
        mark=(int(context.wall_clock()), purpose),
    )
    transformer = upstream.transformer(request, operation)
    call = make_call(
        upstream.endpoints.now()[0],
        transformer.target,
        transformer.headers(upstream.headers),
        transformer.body(),
        context,
    )
    credential = upstream.credentials.get(operation)
    if credential is not None:
        call = yield from credential.apply(call, context.wall_clock, context.deadline)
    head, received = yield from call_whole(call, context)
    answer = transformer.whole(head, received, max_bytes=_MAX_BYTES)
    # An error response is charged, too.
    if answer.summary is not None:
        _bill(upstream, model, answer.summary, context)
    if answer.status != 200:
        raise SideCallFailed(f"status_{answer.status}")
    return answer


def _bill(
    upstream: Upstream, model: str | None, summary: AnswerSummary, context: SideCallContext
) -> None:
    prices, usage = upstream.prices, summary.usage
    if not prices or usage is None:
        return
    price = prices.find(model, summary.model)
    amount = None if price is None else price.amount(usage)
    currency = None if price is None or amount is None else price.currency
    context.charged(Charge(0, upstream.provider, model or summary.model, usage, amount, currency))
