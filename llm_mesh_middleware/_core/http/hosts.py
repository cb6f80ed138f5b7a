"""Host names as requests and manifests spell them."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address, ip_address

__all__ = ["names_this_machine", "normalise_host"]

# RFC 9110 7.2: uri-host [ ":" port ]. Underscores are not valid in DNS but occur in cluster names.
_HOST = re.compile(rb"(?:\[([0-9a-f:.]+)\]|([a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)\.?)(?::[0-9]*)?")


def normalise_host(value: bytes) -> str | None:
    """Return the host in lower case without port and trailing dot, or None if invalid.

    An IPv6 address has one of many spellings; the result is that of RFC 5952, as in manifests.
    """
    match = _HOST.fullmatch(value.strip().lower())
    if match is None:
        return None
    if match[1] is None:
        return match[2].decode("ascii")
    try:
        return str(IPv6Address(match[1].decode("ascii")))
    except AddressValueError:
        return None


def names_this_machine(host: str) -> bool:
    """Return whether every client on a machine can reach it by this name, without a port."""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return host in _OF_THIS_MACHINE or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


_OF_THIS_MACHINE = ("localhost", "host.docker.internal")
