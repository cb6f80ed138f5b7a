"""E-mail addresses.

Not addresses: a package with its version (`react@18.2.0`), an image's resolution (`logo@2x.png`), a
repository (`git@host:team/repo`), the password in a URL (`https://user:pass@host`).
"""

from __future__ import annotations

import re

from ..finding import Finding, run_start
from ..view import View
from .tails import run_tail

__all__ = ["Email"]

_LONGEST = 330  # 64 characters, @, 254 characters, and what follows
# ASCII and Latin: text without spaces, as in Chinese, must not count as part of an address.
_LETTERS = "A-Za-z\u00c0-\u024f"
_WORD = f"{_LETTERS}0-9_"
_LOCAL = re.compile(rf"(?<![{_WORD}.%+'-])[{_WORD}%+][{_WORD}.%+'-]{{0,63}}\Z")
_DOMAIN = re.compile(
    rf"(?:[{_LETTERS}0-9][{_LETTERS}0-9-]{{0,62}}\.){{1,8}}[{_LETTERS}]{{2,24}}"
    rf"(?![{_WORD}-]|\.[{_WORD}]|:[{_WORD}/])"
)
_RESOLUTION = re.compile(r"\d+x\.")
_URL_PASSWORD = re.compile(r"://[^\s/@]*:\Z")
_CHARS = frozenset("._%+'-@:/")
_tail = run_tail(_CHARS, _LONGEST)


class Email:
    """`local@domain`, the domain with a top-level name of letters."""

    longest, run, opened = _LONGEST, _CHARS, frozenset[str]()
    sign = tail = ""

    def find_in(self, view: View) -> list[Finding]:
        """Return the address around each @."""
        text, found = view.text, list[Finding]()
        at = text.find("@")
        while at >= 0:
            domain = _DOMAIN.match(text, at + 1)
            if domain is not None and not _RESOLUTION.match(text, at + 1):
                begin = max(0, at - 66)
                local = _LOCAL.search(text[begin:at])
                if local is not None:
                    start = begin + local.start()
                    if not _URL_PASSWORD.search(text[max(0, start - 80) : start]):
                        found.append(Finding(start, domain.end(), "EMAIL"))
            at = text.find("@", at + 1)
        return found

    def held_from(self, text: str) -> int:
        """Return the start of the last word."""
        return run_start(text, _CHARS, _LONGEST)

    def clear_until(self, text: str, begin: int) -> int:
        """Return the start of the last word, unless there is an @."""
        return -1 if text.find("@", begin) >= 0 else _tail(text, begin)
