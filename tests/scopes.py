"""The ASGI scope of a request, as a server on this machine makes it."""

from __future__ import annotations

from typing import Any


def scope_of(host: str) -> dict[str, Any]:
    """Return the scope of a POST to `host`."""
    return {
        "type": "http",
        "method": "POST",
        "path": "/",
        "http_version": "1.1",
        "headers": [(b"host", host.encode())],
        "client": ("127.0.0.1", 1),
    }
