"""Internet addresses of both versions.

Not addresses: version numbers, times, and names with `::` in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv6Address

from ..finding import Finding, run_start

__all__ = ["IPAddress"]

_LONGEST = 64
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
# A slash before it is one of a URL, or one before a version.
_V4 = re.compile(rf"(?<![\w.\\-])(?<![^/]/)(?:{_OCTET}\.){{3}}{_OCTET}(?![\w-]|\.\w)", re.ASCII)
# Roughly; the standard library decides.
_V6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]|\.\w)", re.ASCII)
# Words before four numbers that make a version of them.
_VERSION = re.compile(
    r"(?i:\b(?:version|ver|v|release|release notes|build|firmware|driver|section|chapter|clause"
    r"|rev|revision)"
    r"[.:]? ?(?:is |to |number |no\.? )?)\Z",
    re.ASCII,
)
_CHARS = frozenset(":.-_/\\")


class IPAddress:
    """`192.0.2.7`, `2001:db8::7`."""

    def is_possible(self, shape: bytes) -> bool:
        """Return whether there are numbers between dots, or colons."""
        return shape.count(b".") > 2 or shape.count(b":") > 1

    def find(self, text: str, *, is_final: bool = True) -> Iterator[Finding]:
        """Yield each address."""
        if text.count(".") >= 3:
            for match in _V4.finditer(text):
                start = match.start()
                if not _VERSION.search(text[max(0, start - 32) : start]):
                    yield Finding(start, match.end(), "IP_ADDRESS")
        if text.count(":") >= 2:
            for match in _V6.finditer(text):
                if _is_v6(match[0]):
                    yield Finding(match.start(), match.end(), "IP_ADDRESS")

    def held_from(self, text: str) -> int:
        """Return where the last word begins."""
        return run_start(text, _CHARS, _LONGEST)


def _is_v6(text: str) -> bool:
    groups = [group for group in text.split(":") if group]
    if not groups or not any(map(str.isdigit, text)):
        return False
    # `a1::b` is a name more often; `fe80::1` is not.
    if len(groups) < 3 and not (len(groups[0]) > 2 and any(map(str.isdigit, groups[0]))):
        return False
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True
