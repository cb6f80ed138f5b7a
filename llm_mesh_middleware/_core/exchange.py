"""One client request from arrival to answer, as a generator that decides and never does I/O.

It yields steps (`Send`, `Read`), is sent what they brought, and returns a `Reply`. The first byte
of the reply is the commit point: until then everything can still be decided anew.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from ..exceptions import ClientDisconnected, UnsupportedOperation, UpstreamProtocolError
from .headers import ForwardPolicy
from .messages import (
    Answer,
    ClientRequest,
    Deadline,
    Failure,
    Read,
    ResponseHead,
    Send,
    Step,
    UpstreamRequest,
)
from .observer import Observation
from .operations import Operation
from .payload import decode_fields
from .routing import Selection, VirtualHost
from .transformer import BodyRelay, Transformer
from .usage import Usage

__all__ = ["Exchange", "ExchangePolicy", "Reply", "exchange"]

Exchange = Generator[Step, Answer, "Reply"]

_MAX_SHOWN = 256


@dataclass(frozen=True, slots=True)
class ExchangePolicy:
    """What holds for every exchange of a mesh.

    `show_routing` adds the `x-llm-mesh-*` fields to answers.
    """

    max_response_bytes: int = 64 * 2**20
    forward: ForwardPolicy = ForwardPolicy()
    show_routing: bool = True


class Reply:
    """What the client gets: a whole body, or its first bytes with more to come through `feed`.

    The driver ends every reply with exactly one `finish` or `abort`.
    """

    __slots__ = (
        "_observation",
        "_relay",
        "_usage",
        "body",
        "headers",
        "idle_s",
        "request_deadline",
        "status",
    )

    def __init__(
        self,
        status: int,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        *,
        observation: Observation,
        relay: BodyRelay | None = None,
        usage: Usage | None = None,
        idle_s: float,
        request_deadline: Deadline,
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.idle_s = idle_s
        self.request_deadline = request_deadline
        self._relay = relay
        self._usage = usage
        self._observation = observation

    @property
    def is_open(self) -> bool:
        """Whether there are more upstream bytes to be read."""
        return self._relay is not None and self._relay.error is None

    @property
    def is_stream(self) -> bool:
        """Whether the body is sent piece by piece."""
        return self._relay is not None

    def feed(self, data: bytes) -> bytes:
        """Take upstream bytes, return what the client gets now."""
        return data if self._relay is None else self._relay.feed(data)

    def finish(self) -> bytes:
        """The upstream body has been read to its end; return what the client still gets."""
        rest = b"" if self._relay is None else self._relay.finish()
        self._end(None)
        return rest

    def abort(self, error: Exception) -> bytes:
        """The answer broke off, or its client went away; return what the client still gets."""
        rest = b"" if self._relay is None else self._relay.abort(error)
        self._end(error)
        return rest

    def _end(self, error: Exception | None) -> None:
        usage = self._usage
        if self._relay is not None:
            error, usage = error or self._relay.error, self._relay.usage
        self._observation.ended(self.status, error, usage)


def exchange(
    host: VirtualHost,
    request: ClientRequest,
    policy: ExchangePolicy,
    *,
    clock: Callable[[], float],
    random: Callable[[], float],
    observation: Observation,
) -> Exchange:
    """Serve `request`, which is addressed to the virtual host `host`.

    Args:
        host: the virtual host of the routing table that this request sees to its end.
        request: the client's request, its body complete.
        policy: limits and timeouts.
        clock: a monotonic clock, in seconds; the deadlines of the steps are on it.
        random: numbers in [0, 1).
        observation: told of what happens; ended exactly once, by the generator or by the reply.

    Raises:
        RequestError: the request is at fault; nothing was sent upstream.
        UpstreamError: the provider is at fault.
    """
    try:
        operation = _operation(host, request)
        selection = host.select(request, random)
        observation.selected(selection)
        return (yield from _attempt(selection, operation, request, policy, clock, observation))
    except GeneratorExit:  # the driver gave up, and it does so for one reason only
        observation.ended(None, ClientDisconnected("the client went away"), None)
        raise
    except BaseException as error:  # the observation ends on every path
        observation.ended(getattr(error, "status", None), error, None)
        raise


def _operation(host: VirtualHost, request: ClientRequest) -> Operation:
    operation = host.operation(request.path)
    if operation is None:
        raise UnsupportedOperation("the path names no operation that this LLM mesh serves")
    operation.check_method(request.method)
    if operation.has_body:
        request.fields = decode_fields(request.body)
    return operation


def _attempt(
    selection: Selection,
    operation: Operation,
    request: ClientRequest,
    policy: ExchangePolicy,
    clock: Callable[[], float],
    observation: Observation,
) -> Exchange:
    upstream, timeouts = selection.upstream, selection.timeouts
    transformer = upstream.dialect(request, operation, upstream)
    upstream_request = _upstream_request(selection, operation, request, transformer, policy)
    now = clock()
    whole_deadline = Deadline(now + timeouts.request, "request", timeouts.request, upstream.host)
    deadline = whole_deadline.or_sooner(now, "first_byte", timeouts.first_byte)

    observation.sending(upstream_request)
    head = yield Send(upstream_request, deadline)
    assert isinstance(head, ResponseHead | Failure)
    observation.answered(head)
    if isinstance(head, Failure):
        raise head.error
    if 300 <= head.status < 400:
        raise UpstreamProtocolError(f"{upstream.host} answered with a redirect; none is followed")

    relay: BodyRelay | None = None
    usage: Usage | None = None
    if transformer.is_stream(head):
        headers, relay = transformer.relay(head)
        first = yield from _read(deadline)
        if not first:
            raise UpstreamProtocolError(f"{upstream.host} ended its stream before it began")
        body = relay.feed(first)
    else:
        received = yield from _read_all(deadline, timeouts.idle, whole_deadline, policy, clock)
        answer = transformer.whole(head, received, max_bytes=policy.max_response_bytes)
        headers, body, usage = answer.headers, answer.body, answer.usage
    if policy.show_routing:
        headers += _routing_headers(selection, transformer.model)
    return Reply(
        head.status,
        headers,
        body,
        observation=observation,
        relay=relay,
        usage=usage,
        idle_s=timeouts.idle,
        request_deadline=whole_deadline,
    )


def _upstream_request(
    selection: Selection,
    operation: Operation,
    request: ClientRequest,
    transformer: Transformer,
    policy: ExchangePolicy,
) -> UpstreamRequest:
    upstream = selection.upstream
    target = upstream.targets.get(operation)
    if target is None:
        raise UnsupportedOperation(
            f"{upstream.host} cannot serve {operation.suffix}: the mesh knows only its chat path"
        )
    forwarded = policy.forward.select(request.headers)
    own = {name for name, _ in upstream.headers}
    kept = [(name, value) for name, value in forwarded if name not in own]
    return UpstreamRequest(
        endpoint=upstream.endpoint,
        method=operation.method,
        target=target,
        headers=(*upstream.headers, *kept),
        body=transformer.body(),
        connect_timeout_s=selection.timeouts.connect,
    )


def _read(deadline: Deadline) -> Generator[Step, Answer, bytes]:
    answer = yield Read(deadline)
    if isinstance(answer, Failure):
        raise answer.error
    assert isinstance(answer, bytes)
    return answer


def _read_all(
    first: Deadline,
    idle_s: float,
    whole: Deadline,
    policy: ExchangePolicy,
    clock: Callable[[], float],
) -> Generator[Step, Answer, bytes]:
    chunk = yield from _read(first)
    chunks, size = [chunk], len(chunk)
    while chunk:
        chunk = yield from _read(whole.or_sooner(clock(), "idle", idle_s))
        chunks.append(chunk)
        size += len(chunk)
        if size > policy.max_response_bytes:
            raise UpstreamProtocolError(
                f"{whole.host} answered with more than {policy.max_response_bytes} bytes"
            )
    return b"".join(chunks)


def _routing_headers(selection: Selection, model: str | None) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-llm-mesh-provider", _shown(selection.upstream.provider)),
        (b"x-llm-mesh-route", _shown(selection.route)),
        (b"x-llm-mesh-rule", _shown(selection.rule)),
        (b"x-llm-mesh-model", _shown(model or "")),
        (b"x-llm-mesh-attempts", b"1"),
    ]


def _shown(text: str) -> bytes:
    """`text` as a field value: a model name may come from a client and hold anything."""
    if text.isascii() and text.isprintable() and len(text) <= _MAX_SHOWN:
        return text.encode("ascii")
    cleaned = "".join(char if char.isprintable() else "?" for char in text[:_MAX_SHOWN])
    return cleaned.encode("ascii", "replace")
