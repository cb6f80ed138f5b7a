"""Read requests from ASGI scopes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._core.routing.table import VirtualHost
from ..inbound import Addressed, ClientRequest, Headers, address, split_target

__all__ = ["address_named", "address_scope", "request_of"]


def address_scope(
    find: Callable[[bytes], VirtualHost | None], scope: Mapping[str, Any]
) -> Addressed | None:
    """Find the virtual host that a scope addresses, or None."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    # Servers prepend `root_path` to an absolute target too.
    target = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
    authority, path = split_target(scope.get("method", "GET"), target)
    return address(find, hosts, authority, path)


def address_named(host: VirtualHost, name: bytes, scope: Mapping[str, Any]) -> Addressed | None:
    """Return what a scope addresses whose only Host field, `name`, is that of `host`.

    None if its target does not leave that to the field.
    """
    target = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
    if target[:1] != "/" or scope.get("method") == "CONNECT":
        return None
    return Addressed(host, (name,), None, target)


def request_of(addressed: Addressed, scope: Mapping[str, Any], native: object) -> ClientRequest:
    """Return what is known of a request before its body is read."""
    client = scope.get("client")
    return ClientRequest(
        scope["method"],
        addressed.path,
        Headers(scope["headers"]),
        peer=client[0] if client else None,
        http_version=scope["http_version"],
        scheme=scope.get("scheme", "http"),
        is_inbound="starlette.opentelemetry" not in scope,
        native=native,
        query=scope.get("query_string", b"").decode("latin-1"),
    )
