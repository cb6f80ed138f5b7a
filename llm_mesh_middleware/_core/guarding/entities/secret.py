"""Keys and tokens, by the prefixes that their issuers gave them to be found by.

A prefix alone is not enough (`sk-learn`): what follows has the issuer's length, and digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..finding import Finding, run_start

__all__ = ["Secret"]

# A private key has about 3,300 characters; more than this is not held back for anything.
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
# Only the password: the rest of the URL says which server is meant.
_URL = re.compile(
    r"(?<![\w+.-])[a-z][a-z0-9+.-]{1,15}://[^\s/:@\"'<>]{0,64}:(?P<secret>[^\s/:@\"'<>]{3,128})@(?=[\w\[])",
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
_SIGNS = (b"a0", b"0a", b"-0", b"_0", b"://", b"-----")
_CHARS = frozenset("_-.+/:=%~!$&*")
# An example that is written out, such as sk-xxxxxxxxxxxxxxxxxxxxxxxx, is no secret.
_FEWEST_CHARACTERS = 8


class Secret:
    """Keys of well-known issuers, JSON web tokens, private keys, passwords in URLs."""

    def is_possible(self, shape: bytes) -> bool:
        """Return whether there is a digit in a word, a password in a URL, or a private key."""
        return any(each in shape for each in _SIGNS)

    def find(self, text: str, *, is_final: bool = True) -> Iterator[Finding]:
        """Yield each secret."""
        for match in _TOKEN.finditer(text):
            token = match[0]
            if len(set(token)) >= _FEWEST_CHARACTERS and any(map(str.isdigit, token)):
                yield Finding(match.start(), match.end(), "SECRET")
        if "://" in text:
            for match in _URL.finditer(text):
                yield Finding(match.start("secret"), match.end("secret"), "SECRET")
        if _KEY_BEGIN in text:
            for match in _KEY.finditer(text):
                yield Finding(match.start(), match.end(), "SECRET")

    def held_from(self, text: str) -> int:
        """Return where the last word begins, or a private key that has not ended."""
        begin = text.find(_KEY_BEGIN, max(0, len(text) - _LONGEST))
        while begin >= 0:
            if _is_open(text, begin):
                return begin
            begin = text.find(_KEY_BEGIN, begin + 1)
        return run_start(text, _CHARS, _LONGEST)


def _is_open(text: str, begin: int) -> bool:
    """Return whether a private key begins here and may go on behind the text."""
    header = _KEY_HEADER.match(text, begin)
    if header is not None and "PRIVATE KEY" not in header[1]:
        return False
    if header is not None and _KEY_END.search(text, header.end()):
        return False
    return _KEY_HELD.match(text, begin) is not None
