"""A virtual host with one provider, for commands that call that provider only."""

from __future__ import annotations

from ..._core.balance.backends import Backend, Backends
from ..._core.dialect import ServedOperation
from ..._core.provider.upstream import Upstream
from ..._core.routing.matching import Match
from ..._core.routing.retry_policy import RetryPolicy
from ..._core.routing.table import RouteRule, VirtualHost
from ..._core.routing.timeouts import Timeouts
from ..._dialects.registry import OperationFinder
from ...settings import MeshSettings

__all__ = ["HEADERS", "only"]

HEADERS = [(b"content-type", b"application/json")]


def only(upstream: Upstream, operation: ServedOperation, settings: MeshSettings) -> VirtualHost:
    """Return a virtual host that only this provider serves, without retries."""
    timeouts = Timeouts(
        connect=settings.connect_timeout,
        first_byte=settings.first_byte_timeout,
        idle=settings.idle_timeout,
        request=settings.request_timeout,
    )
    rule = RouteRule(
        "only", (Match(),), Backends([Backend(upstream, 1)]), timeouts, RetryPolicy(attempts=0)
    )
    finder = OperationFinder(root=operation).find
    return VirtualHost(upstream.host, upstream.provider, (rule,), finder)
