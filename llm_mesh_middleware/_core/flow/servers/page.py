"""One page of a model server, read in the background: its metrics, or a health check."""

from __future__ import annotations

from collections.abc import Callable, Generator

from msgspec.structs import replace

from ....exceptions import UpstreamError
from ...provider.servers.metrics_page import read_load
from ...provider.servers.state import ServerState
from ...provider.servers.watch import ServerWatch
from ...provider.upstream import Upstream
from ...values.endpoint import Endpoint
from ...values.messages import Deadline, Failure, ResponseHead, UpstreamRequest
from ...values.steps import Read, Send, Step, StepResult, Steps

__all__ = ["ServerLog", "check_server", "ignore_server", "read_metrics"]

ServerLog = Callable[[str, str, bool], None]
"""Called with a server (host and address), a message, and whether the server is well again."""

_METRICS_TIMEOUT_S = 0.5
_CHECK_TIMEOUT_S = 2.0
# The page of a server with many adapters has several 100 KB.
_MAX_PAGE_BYTES = 2 * 2**20


def ignore_server(server: str, what: str, is_well: bool) -> None:
    """Ignore the report on a server."""


class _Unusable(Exception):
    """The page cannot be used; the message says why."""


def read_metrics(
    upstream: Upstream,
    watch: ServerWatch,
    endpoint: Endpoint,
    server: ServerState,
    *,
    clock: Callable[[], float],
    log: ServerLog,
) -> Steps:
    """Read the load of a server from its page of metrics.

    Without a usable page the server is not scored, which is reported once.
    """
    started, where = server.started, _where(upstream, endpoint)
    path, had_fault = watch.metrics_path or "/metrics", bool(server.fault)
    if watch.metrics_port is not None:
        endpoint = replace(endpoint, port=watch.metrics_port)
    try:
        page = yield from _get(upstream, endpoint, path, clock() + _METRICS_TIMEOUT_S)
        load = read_load(page)
        if load is None:
            raise _Unusable("has none of the metrics of a model server that is known")
    except _Unusable as reason:
        if server.fail(f"{path} {reason}"):
            log(where, server.fault, False)
        return
    server.learn(load, started, clock())
    if had_fault:
        log(where, f"{path} can be used again", True)


def check_server(
    upstream: Upstream,
    watch: ServerWatch,
    endpoint: Endpoint,
    server: ServerState,
    *,
    clock: Callable[[], float],
    log: ServerLog,
) -> Steps:
    """Check the health of a server; report when it goes down and when it comes up."""
    path, reason = watch.check_path or "/health", ""
    timeout_s = min(_CHECK_TIMEOUT_S, watch.check_interval_s)
    try:
        yield from _get(upstream, endpoint, path, clock() + timeout_s)
    except _Unusable as unusable:
        reason = str(unusable)
    if server.checked(not reason):
        log(_where(upstream, endpoint), f"{path} {reason or 'responds again'}", not reason)


def _get(
    upstream: Upstream, endpoint: Endpoint, path: str, until: float
) -> Generator[Step, StepResult, bytes]:
    """Return a page.

    Raises:
        _Unusable: there is none within the time, or it is too long.
    """
    deadline = Deadline(until, "request", _METRICS_TIMEOUT_S, upstream.host)
    head: ResponseHead | Failure = yield Send(_request(upstream, endpoint, path), deadline)
    _check(head)
    if isinstance(head, ResponseHead) and not 200 <= head.status < 300:
        raise _Unusable(f"responds with status {head.status}")
    pieces, size, read = [], 0, Read(deadline)
    while True:
        piece: bytes | Failure = yield read
        if isinstance(piece, Failure):
            _check(piece)
            break
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
        if size > _MAX_PAGE_BYTES:
            raise _Unusable(f"is longer than {_MAX_PAGE_BYTES} bytes")
    return b"".join(pieces)


def _check(result: object) -> None:
    if isinstance(result, Failure):
        error: UpstreamError = result.error
        raise _Unusable(f"cannot be read: {error.message}")


def _request(upstream: Upstream, endpoint: Endpoint, path: str) -> UpstreamRequest:
    """Return the request for a page; it carries no credential."""
    host = [field for field in upstream.headers if field[0] == b"host"]
    return UpstreamRequest(
        endpoint=endpoint,
        method="GET",
        target=path,
        headers=(*host, (b"accept", b"*/*"), (b"accept-encoding", b"identity")),
        body=b"",
        connect_timeout_s=_METRICS_TIMEOUT_S,
        provider=upstream.provider,
    )


def _where(upstream: Upstream, endpoint: Endpoint) -> str:
    return f"{upstream.host}/{endpoint.address}:{endpoint.port}"
