"""Endpoints of token issuers."""

from __future__ import annotations

from urllib.parse import urlsplit

from ..._auth.token_endpoint import TokenEndpoint
from ..._core.values.endpoint import Endpoint

__all__ = ["issuer"]

_PORTS = {"http": 80, "https": 443}


def issuer(url: str, owner: str) -> TokenEndpoint:
    """Return the issuer at a URL; `owner` is the provider that its tokens are for.

    Raises:
        KeyError: the URL has a scheme other than http or https.
        ValueError: it is not a URL.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return TokenEndpoint(Endpoint(host, parts.scheme, host, port, host), target, owner)
