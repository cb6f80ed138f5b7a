"""A whole call beside the attempts: its response is read to the end, or it comes to nothing."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ....exceptions import UpstreamError, UpstreamTimeout
from ...http.hops import next_hops
from ...values.endpoint import Endpoint
from ...values.messages import Failure, ResponseHead, UpstreamRequest
from ...values.steps import Read, Send, Step
from .verdict import Circumstances, NoVerdict

__all__ = ["call_whole", "cause_of", "make_call"]

# A verdict is short, and a findings list is not much longer than the texts.
_MAX_BYTES = 4 * 2**20


def make_call(
    endpoint: Endpoint,
    target: str,
    headers: tuple[tuple[bytes, bytes], ...],
    body: bytes,
    about: Circumstances,
) -> UpstreamRequest:
    """Return a POST request; the meshes it passes can see that it has come from this one."""
    hops = next_hops(about.headers, about.mesh_id, endpoint)
    return UpstreamRequest(
        endpoint=endpoint,
        method="POST",
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
        NoVerdict: there is no complete response.
    """
    head = yield Send(request, about.deadline)
    if isinstance(head, Failure):
        raise NoVerdict(cause_of(head.error))
    read, size = Read(about.deadline), 0
    chunks: list[bytes] = []
    while True:
        chunk = yield read
        if isinstance(chunk, Failure):
            raise NoVerdict(cause_of(chunk.error))
        if not chunk:
            return head, b"".join(chunks)
        chunks.append(chunk)
        size += len(chunk)
        # Memory for a service that never ends would be the request's.
        if size > _MAX_BYTES:
            raise NoVerdict("too_long")


def cause_of(error: UpstreamError) -> str:
    """Return a word for what kept a call from being made."""
    return "timeout" if isinstance(error, UpstreamTimeout) else error.code
