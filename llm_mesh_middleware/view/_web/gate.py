"""The gate of the view: who may see it, and which requests it accepts, checked in this order.

Host        one of the names that the view is served under, or 421: a web page whose own host name
            resolves to this machine (DNS rebinding) gets nothing
authorize   True, or 403; called before the path is looked at, so a stranger learns nothing of it
method      GET, and POST for `explain`, or 405
Origin      of a POST: the view's own, or 403
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..._core.http.hosts import normalise_host
from ..._engine.ports.callback import Decision
from ...asgi import Scope

__all__ = ["LOOPBACK", "Gate", "Refusal"]

LOOPBACK = ("localhost", "127.0.0.1", "::1")

_METHODS: Mapping[str, str] = {"/explain": "POST"}


class Refusal(Exception):
    """A request is refused; the text is for its sender."""

    def __init__(self, status: int, text: str, *, allow: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.allow = allow


class Gate:
    """Checks requests before the view handles them."""

    def __init__(self, authorize: Any, hosts: Collection[str]) -> None:
        """Set the function and the host names that decide.

        Raises:
            TypeError: `authorize` is not a function.
        """
        if not callable(authorize):
            raise TypeError("authorize must be a function that decides who may see the view")
        self._decision = Decision(authorize, "authorize")
        self._hosts = frozenset(host.lower() for host in hosts)

    async def check(self, scope: Scope, path: str) -> None:
        """Check one request.

        Args:
            scope: the request's scope.
            path: its path below the place where the view is mounted.

        Raises:
            Refusal: the request is not admitted.
        """
        named = [value for name, value in scope["headers"] if name == b"host"]
        if len(named) != 1 or normalise_host(named[0]) not in self._hosts:
            raise Refusal(421, "the view is not served under this host name")
        if not await self._decision.aask(scope, None):
            raise Refusal(403, "not authorised to see this mesh")
        wanted = _METHODS.get(path, "GET")
        if scope["method"] != wanted:
            raise Refusal(405, "the view is read-only", allow=wanted)
        if wanted == "POST":
            _check_origin(scope, named[0])


def _check_origin(scope: Scope, host: bytes) -> None:
    """Compare authorities: behind a proxy that ends TLS the scheme is not known here."""
    origins = [value for name, value in scope["headers"] if name == b"origin"]
    sites = [value for name, value in scope["headers"] if name == b"sec-fetch-site"]
    is_own = len(origins) == 1 and origins[0].partition(b"://")[2].lower() == host.lower()
    if not is_own or any(site != b"same-origin" for site in sites):
        raise Refusal(403, "only the view's own page may send this request")
