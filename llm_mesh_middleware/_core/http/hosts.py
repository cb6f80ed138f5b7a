"""Host names as requests and manifests spell them."""

from __future__ import annotations

import re

__all__ = ["normalise_host"]

# RFC 9110 7.2: uri-host [ ":" port ]. Underscores are not valid in DNS but occur in cluster names.
_HOST = re.compile(rb"(?:\[([0-9a-f:.]+)\]|([a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)\.?)(?::[0-9]*)?")


def normalise_host(value: bytes) -> str | None:
    """Return the host in lower case without port and trailing dot, or None if invalid."""
    match = _HOST.fullmatch(value.strip().lower())
    if match is None:
        return None
    return (match[1] or match[2]).decode("ascii")
