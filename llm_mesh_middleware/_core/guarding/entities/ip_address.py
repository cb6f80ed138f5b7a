"""IP addresses of both versions.

Not addresses: version numbers, times, and names with `::` in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv6Address

from ..finding import Finding, run_start
from ..view import View
from .tails import run_tail

__all__ = ["IPAddress"]

_LONGEST = 64
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
# A slash before it is one of a URL, or one before a version.
_V4 = re.compile(rf"(?<![\w.\\-])(?<![^/]/)(?:{_OCTET}\.){{3}}{_OCTET}(?![\w-]|\.\w)", re.ASCII)
# A superset of valid addresses; the standard library decides.
_V6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]|\.\w)", re.ASCII)
_COLONS = re.compile(rb":[0a]{0,4}:")
# Every address of either version has one; version 6 has two colons, perhaps with letters around.
_MARKED = re.compile(r"[0-9]\.[0-9]|:[0-9A-Fa-f]*+:", re.ASCII)
# Words before four numbers that make a version of them.
_VERSION = re.compile(
    r"(?i:\b(?:version|ver|v|release|release notes|build|firmware|driver|section|chapter|clause"
    r"|rev|revision)"
    r"[.:]? ?(?:is |to |number |no\.? )?)\Z",
    re.ASCII,
)
_CHARS = frozenset(":.-_/\\")
_tail = run_tail(_CHARS, _LONGEST)


class IPAddress:
    """`192.0.2.7`, `2001:db8::7`."""

    longest, run, opened = _LONGEST, _CHARS, frozenset[str]()
    sign, tail = _MARKED.pattern, ""

    def find_in(self, view: View) -> list[Finding]:
        """Return each address."""
        if not view.has_digits:
            return []
        spans = [*_spans_v4(view), *_spans_v6(view)]
        return [Finding(begin, end, "IP_ADDRESS") for begin, end in spans]

    def held_from(self, text: str) -> int:
        """Return the start of the last word."""
        return run_start(text, _CHARS, _LONGEST)

    def clear_until(self, text: str, begin: int) -> int:
        """Return the start of the last word, unless the text has the marks of an address."""
        return -1 if _MARKED.search(text, begin) is not None else _tail(text, begin)


def _spans_v4(view: View) -> Iterator[tuple[int, int]]:
    """Yield the IPv4 addresses; candidates have a dot between two digits."""
    text, kinds, at = view.text, view.kinds, 0
    while (digit := kinds.find(b"0.0", at)) >= 0:
        at = digit + 2
        match = _V4.match(text, _back(kinds, digit, 3, b"0"))
        if match is None:
            continue
        start, at = match.span()
        if not _VERSION.search(text[max(0, start - 32) : start]):
            yield start, at


def _spans_v6(view: View) -> Iterator[tuple[int, int]]:
    """Yield the IPv6 addresses; candidates have two colons close to each other."""
    for colons in _COLONS.finditer(view.kinds):
        match = _V6.match(view.text, _back(view.kinds, colons.start(), 4, b"a0"))
        if match is not None and _is_v6(match[0]):
            yield match.span()


def _back(kinds: bytes, at: int, most: int, members: bytes) -> int:
    """Return the start of the run of `members` before `at`, at most `most` characters long."""
    lowest = max(0, at - most)
    while at > lowest and kinds[at - 1] in members:
        at -= 1
    return at


def _is_v6(text: str) -> bool:
    groups = [group for group in text.split(":") if group]
    if not groups or not any(map(str.isdigit, text)):
        return False
    # `a1::b` is more often a name than an address; `fe80::1` is not.
    if len(groups) < 3 and not (len(groups[0]) > 2 and any(map(str.isdigit, groups[0]))):
        return False
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True
