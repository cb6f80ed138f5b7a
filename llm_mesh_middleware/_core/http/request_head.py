"""Checks of a request line and header fields: target, host, body length, line breaks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...exceptions import MalformedRequest, RequestTooLarge, UnsupportedEncoding
from ..values.headers import Headers
from .hosts import normalise_host

__all__ = ["check_body", "check_hosts", "has_breaks", "split_target", "too_large"]

_CLOSE = {"connection": "close"}
_LF, _CR, _NUL = b"\n\r\0"  # numbers, which are found faster in bytes than other bytes


def split_target(method: str, target: str) -> tuple[bytes | None, str]:
    """Return the authority and the path of a request target (RFC 9112 3.2).

    An origin-form target has no authority. Clients behind `http_proxy` send the absolute form,
    CONNECT the authority form.
    """
    if method == "CONNECT":
        return target.encode("utf-8", "replace"), ""
    scheme, mark, rest = target.partition("://")
    if not mark or scheme.lower() not in ("http", "https"):
        return None, target
    authority, slash, path = rest.partition("/")
    return authority.encode("utf-8", "replace"), slash + path or "/"


def check_hosts(hosts: Sequence[bytes], authority: bytes | None) -> None:
    """Raise `MalformedRequest` unless the request names exactly one host (RFC 9112 3.2, 3.2.2)."""
    if len(hosts) > 1:
        raise MalformedRequest("the request has more than one Host field", headers=_CLOSE)
    if authority is not None and hosts and normalise_host(authority) != normalise_host(hosts[0]):
        raise MalformedRequest("the Host field disagrees with the request target", headers=_CLOSE)


def check_body(headers: Headers, max_bytes: int) -> None:
    """Refuse a body by its header fields, before any of it is read.

    Raises:
        MalformedRequest: two lengths, or a length with Transfer-Encoding (RFC 9112 6.3).
        RequestTooLarge: the declared length is over `max_bytes`.
        UnsupportedEncoding: the body is compressed.
    """
    names = headers.by_name
    length = names.get(b"content-length")
    if length is not None:
        is_repeated = headers.has_duplicates and headers.one(b"content-length") is None
        if is_repeated or b"transfer-encoding" in names:
            raise MalformedRequest(
                "the request declares its length in more than one way", headers=_CLOSE
            )
        if not length.isdigit():  # of bytes: ASCII only
            raise MalformedRequest("the Content-Length field is not a number", headers=_CLOSE)
        if len(length) > 18 or int(length) > max_bytes:
            raise too_large(max_bytes, int(length[:18]))
    if b"content-encoding" in names and headers.get("content-encoding") not in ("", "identity"):
        raise UnsupportedEncoding("send the body without Content-Encoding", headers=_CLOSE)


def has_breaks(lines: Iterable[bytes]) -> bool:
    """Return whether a line has a CR, an LF or a NUL, which must not be sent (RFC 9110 5.5)."""
    data = b"".join(lines)
    return _LF in data or _CR in data or _NUL in data


def too_large(max_bytes: int, size_bytes: int | None = None) -> RequestTooLarge:
    """Return the error for a body over `max_bytes`; it names the size if that is known."""
    has = "is longer" if size_bytes is None else f"has {size_bytes:,} bytes, which is more"
    return RequestTooLarge(
        f"the body {has} than the {max_bytes:,} bytes that this mesh accepts", headers=_CLOSE
    )
