"""Keys and tokens, recognised by the prefixes of their issuers.

A prefix alone is not enough (`sk-learn`): a key also has the issuer's length, and digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..finding import Finding, run_start
from ..view import View
from .tails import run_tail

__all__ = ["Secret"]

# A private key has about 3,300 characters; no more than this is held back.
_LONGEST = 4096
_TOKEN = re.compile(
    r"(?<![\w-])(?:"
    r"sk-(?:ant-|proj-|svcacct-|or-v1-)?[A-Za-z0-9_-]{20,240}"
    r"|(?:AKIA|ASIA)[A-Z2-7]{16}"
    r"|gh[pousr]_[A-Za-z0-9]{36,255}"
    r"|github_pat_[A-Za-z0-9_]{22,255}"
    r"|glpat-[A-Za-z0-9_-]{20,64}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,250}"
    r"|AIza[A-Za-z0-9_-]{35}"
    r"|hf_[A-Za-z0-9]{34}"
    r"|npm_[A-Za-z0-9]{36}"
    r"|gsk_[A-Za-z0-9]{40,60}"
    r"|ya29\.[A-Za-z0-9_-]{20,300}"
    r"|pypi-[A-Za-z0-9_-]{40,250}"
    r"|dapi[0-9a-f]{32}"
    r"|(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{20,240}"
    r"|SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"
    r"|eyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{0,700}"
    r")(?![\w-])",
    re.ASCII,
)
# The shortest token.
_SHORTEST = b"x" * 15
_LONG = re.compile(r"[A-Za-z0-9_.-]{15}")
# Only the password: the rest of the URL is needed to know the server.
_SCHEME = re.compile(r"(?<![\w+.-])[a-z][a-z0-9+.-]{1,15}\Z", re.ASCII)
_PASSWORD = re.compile(
    r"://[^\s/:@\"'<>]{0,64}:(?P<secret>[^\s/:@\"'<>]{3,128})@(?=[\w\[])",
    re.ASCII,
)
_KEY_BEGIN = "-----BEGIN "
_KEY = re.compile(
    r"-----BEGIN (?:[A-Z]{2,10} ){0,2}PRIVATE KEY-----"
    r"[A-Za-z0-9+/=\s\\]{0,3900}(?:-----END (?:[A-Z]{2,10} ){0,2}PRIVATE KEY-----)?"
)
_KEY_HEADER = re.compile(r"-----BEGIN ([A-Z ]{0,40})-----")
_KEY_END = re.compile(r"-----END [A-Z ]{0,40}-----")
_KEY_HELD = re.compile(r"-----BEGIN [A-Za-z0-9+/=\s\\-]{0,4050}\Z")
_CHARS = frozenset("_-.+/:=%~!$&*")
_tail = run_tail(_CHARS, _LONGEST)
# Examples such as sk-xxxxxxxxxxxxxxxxxxxxxxxx have fewer different characters than any secret.
_FEWEST_CHARACTERS = 8


class Secret:
    """Keys of well-known issuers, JSON web tokens, private keys, passwords in URLs."""

    longest, run, opened = _LONGEST, _CHARS, frozenset[str]()
    sign, tail = _LONG.pattern, ""

    def find_in(self, view: View) -> list[Finding]:
        """Return each secret."""
        text = view.text
        found = [*_tokens(view)] if view.has_digits else []
        if "@" in text and "://" in text:
            found += _passwords(text)
        if _KEY_BEGIN in text:
            found += [match.span() for match in _KEY.finditer(text)]
        return [Finding(begin, end, "SECRET") for begin, end in found]

    def held_from(self, text: str) -> int:
        """Return the start of the last word, or of a private key that has not ended."""
        begin = text.find(_KEY_BEGIN, max(0, len(text) - _LONGEST))
        while begin >= 0:
            if _is_open(text, begin):
                return begin
            begin = text.find(_KEY_BEGIN, begin + 1)
        return run_start(text, _CHARS, _LONGEST)

    def clear_until(self, text: str, begin: int) -> int:
        """Return the start of the last word, unless a long word, password or key is possible."""
        if text.find("@", begin) >= 0 or text.find("-----", begin) >= 0:
            return -1
        if len(text) - begin >= len(_SHORTEST) and _LONG.search(text, begin) is not None:
            return -1
        return _tail(text, begin)


def _tokens(view: View) -> Iterator[tuple[int, int]]:
    """Yield the tokens: each begins a long word, or follows a dot inside one."""
    text = view.text
    for start, end in view.long_words(_SHORTEST):
        while 0 <= start < end:
            match = _TOKEN.match(text, start, end)
            if match is not None:
                token, start = match[0], match.end()
                if len(set(token)) >= _FEWEST_CHARACTERS and any(map(str.isdigit, token)):
                    yield match.span()
            start = text.find(".", start, end) + 1 or -1


def _passwords(text: str) -> Iterator[tuple[int, int]]:
    at = text.find("://")
    while at >= 0:
        if _SCHEME.search(text, max(0, at - 16), at) is not None:
            match = _PASSWORD.match(text, at)
            if match is not None:
                yield match.span("secret")
        at = text.find("://", at + 3)


def _is_open(text: str, begin: int) -> bool:
    """Return whether a private key begins here and may continue after the text."""
    header = _KEY_HEADER.match(text, begin)
    if header is not None and "PRIVATE KEY" not in header[1]:
        return False
    if header is not None and _KEY_END.search(text, header.end()):
        return False
    return _KEY_HELD.match(text, begin) is not None
