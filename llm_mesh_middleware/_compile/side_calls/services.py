"""HTTP services of the operator: their addresses, and the limits that they count."""

from __future__ import annotations

from urllib.parse import urlsplit

from ..._core.policy.limits import ServiceLimit
from ..._core.routing.matching import Match
from ..._core.side_calls.service import Availability, Service
from ..._core.values.endpoint import Endpoint
from ...config import LimitItem, PolicyService
from ..limiting.limits import compile_part

__all__ = ["compile_service", "compile_service_limit", "endpoint_of"]

_PORTS = {"http": 80, "https": 443}
_TIMEOUT_S = 0.5


def endpoint_of(url: str) -> Endpoint:
    """Return the endpoint of a URL."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return Endpoint(host, parts.scheme, host, parts.port or _PORTS[parts.scheme], host)


def compile_service(config: PolicyService) -> Service:
    """Return the service that a configuration names."""
    parts = urlsplit(config.url)
    return Service(
        endpoint_of(config.url),
        parts.path.rstrip("/"),
        parts.netloc,
        config.timeout or _TIMEOUT_S,
        Availability(),
    )


def compile_service_limit(
    policy: str, item: LimitItem, when: tuple[Match, ...], config: PolicyService
) -> ServiceLimit:
    """Return a limit that a service counts."""
    return ServiceLimit(
        policy,
        item.name,
        compile_service(config),
        tuple(map(compile_part, item.by)),
        when,
        is_open=item.on_store_failure == "allow",
        is_shadow=item.shadow,
    )
