"""A whole call apart from the attempts: its response is read to the end, or it fails."""

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

__all__ = ["Circumstances", "NoAnswer", "ask_provider", "call_whole", "cause_of", "make_call"]

# A verdict is short, and findings or vectors are not much longer than the texts.
_MAX_BYTES = 4 * 2**20


class NoAnswer(Exception):
    """There is no answer; `cause` says why, without quoting the response."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(cause)


class Circumstances(msgspec.Struct, frozen=True):
    """What a side call needs of the call that it is made for.

    Attributes:
        deadline: until when the answer is waited for.
        headers: the client's, of which only the hops are used.
        mesh_id: the mesh's name among the hops.
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
    about: Circumstances,
    *,
    method: str = "POST",
) -> UpstreamRequest:
    """Return a request; the meshes it passes can see that it has come from this one."""
    hops = next_hops(about.headers, about.mesh_id, endpoint)
    return UpstreamRequest(
        endpoint=endpoint,
        method=method,
        target=target,
        headers=headers if hops is None else (*headers, hops),
        body=body,
        connect_timeout_s=about.deadline.limit_s,
    )


def call_whole(
    request: UpstreamRequest, about: Circumstances
) -> Generator[Step, Any, tuple[ResponseHead, bytes]]:
    """Return the head and the body of the response.

    Raises:
        NoAnswer: there is no complete response.
    """
    head = yield Send(request, about.deadline)
    if isinstance(head, Failure):
        raise NoAnswer(cause_of(head.error))
    read, size = Read(about.deadline), 0
    chunks: list[bytes] = []
    while True:
        chunk = yield read
        if isinstance(chunk, Failure):
            raise NoAnswer(cause_of(chunk.error))
        if not chunk:
            return head, b"".join(chunks)
        chunks.append(chunk)
        size += len(chunk)
        # A response without an end must not fill the memory.
        if size > _MAX_BYTES:
            raise NoAnswer("too_long")


def ask_provider(
    upstream: Upstream,
    operation: ServedOperation,
    body: bytes,
    about: Circumstances,
    *,
    model: str | None,
    purpose: str,
) -> Generator[Step, Any, WholeAnswer]:
    """Return a provider's whole response to a request in the form of `operation`.

    Args:
        upstream: the provider.
        operation: what it is asked for.
        body: the request; a provider of another dialect gets it translated.
        about: the call that this one is made for; it is told what this one has cost.
        model: the model that is asked for.
        purpose: what the request is for; ids that a translation makes are told apart by it.

    Raises:
        NoAnswer: there is no response, or an error.
    """
    try:
        return (yield from _answer(upstream, operation, body, about, model, purpose))
    except UpstreamError as error:
        raise NoAnswer(cause_of(error)) from None
    except AnswerableError:  # the provider's dialect cannot say it
        raise NoAnswer("unsupported") from None


def cause_of(error: UpstreamError) -> str:
    """Return a word for what kept a call from being made."""
    return "timeout" if isinstance(error, UpstreamTimeout) else error.code


def _answer(
    upstream: Upstream,
    operation: ServedOperation,
    body: bytes,
    about: Circumstances,
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
        mark=(int(about.wall_clock()), purpose),
    )
    transformer = upstream.transformer(request, operation)
    call = make_call(
        upstream.endpoints.now()[0],
        transformer.target,
        transformer.headers(upstream.headers),
        transformer.body(),
        about,
    )
    credential = upstream.credentials.get(operation)
    if credential is not None:
        call = yield from credential.apply(call, about.wall_clock, about.deadline)
    head, received = yield from call_whole(call, about)
    answer = transformer.whole(head, received, max_bytes=_MAX_BYTES)
    # Paid for, whatever it says.
    if answer.summary is not None:
        _bill(upstream, model, answer.summary, about)
    if answer.status != 200:
        raise NoAnswer(f"status_{answer.status}")
    return answer


def _bill(
    upstream: Upstream, model: str | None, summary: AnswerSummary, about: Circumstances
) -> None:
    prices, usage = upstream.prices, summary.usage
    if not prices or usage is None:
        return
    price = prices.find(model, summary.model)
    amount = None if price is None else price.amount(usage)
    currency = None if price is None or amount is None else price.currency
    about.charged(Charge(0, upstream.provider, model or summary.model, usage, amount, currency))
