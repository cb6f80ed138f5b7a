"""The secrets of one provider, and their redaction from everything that it returns.

A provider may repeat its key anywhere. How thorough a search is depends on its cost and on what it
could damage:

    what                          searched for                        spellings
    response headers              every secret                        all
    error bodies, error events    every secret                        all
    facts for observers           keys                                as text
    response content              keys unlikely to occur by chance    those of JSON writers

A secret of fewer than eight characters (`ollama`, `none`) is an ordinary word, so it is redacted
only after `Bearer`. Content is searched only for keys of 16 characters including a digit, or of 24:
documentation recommends keys such as `not-needed`, which content may well contain.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from ...exceptions import UpstreamError
from ..values.headers import Headers
from ..values.messages import Failure, ResponseHead
from ..values.summary import AnswerSummary

__all__ = ["MASK", "Secrets"]

MASK = b"***"

_FACTS = AnswerSummary.__struct_fields__
_MAX_LEARNT = 3
_WORD = 8
_UNLIKELY, _UNLIKELY_WITHOUT_DIGIT = 16, 24

# From header fields and JSON, the rarest first.
_RARE = "QZXJVKYUWGBFPHDOLNMRCSATEIzkwvjqyx9876543210bgpfhmlducrsnatoie"

_ESCAPE = b"\\u"  # of a character in JSON, by its number
_BACKSLASH = ord("\\")
_UNSAFE = "\"&'+<=>\\`"
_NAMED = {b'"': b"quot", b"&": b"amp", b"'": b"apos", b"<": b"lt", b">": b"gt"}
# Letters that form an escape sequence in JSON after a backslash.
_ESCAPED_LETTERS = b'bfnrtu"/\\'


class Secrets:
    """`keys` are credentials; `others` are configured header values, which may be ordinary text.

    Tokens that are fetched later are added; the last few are kept, as calls that used one may still
    be in flight. They do not affect equality.
    """

    __slots__ = (
        *("_all", "_configured", "_content", "_content_escaped"),
        *("_keys", "_learnt", "_literals", "_pattern"),
    )

    def __init__(self, keys: Iterable[bytes] = (), others: Iterable[bytes] = ()) -> None:
        self._configured = (tuple(filter(None, keys)), tuple(filter(None, others)))
        self._learnt: tuple[bytes, ...] = ()
        self._prepare()

    def learn(self, key: bytes) -> None:
        """Add a key that was fetched for the provider."""
        if key not in self._all:
            self._learnt = (*self._learnt[-_MAX_LEARNT:], key)
            self._prepare()

    def _prepare(self) -> None:
        keys, others = self._configured
        found = (*keys, *self._learnt)
        # A secret may contain another; replace the longest first.
        self._all = tuple(sorted({*found, *others}, key=len, reverse=True))
        self._keys = tuple(key.decode("latin-1") for key in found if len(key) >= _WORD)
        spelled = [each for key in found if _is_unlikely(key) for each in _spellings(key)]
        plain = [each for each in spelled if _ESCAPE not in each]
        self._content = tuple((ord(_rarest(each)), each) for each in plain)
        self._content_escaped = tuple(each for each in spelled if _ESCAPE in each)
        literals = [literal for secret in self._all for literal in _literals(secret)]
        by_rarest: dict[str, list[str]] = {}
        for each in literals:
            by_rarest.setdefault(_rarest(each), []).append(each.decode("latin-1"))
        self._literals = tuple(by_rarest.items())
        self._pattern: re.Pattern[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._all)

    def __bool__(self) -> bool:
        return bool(self._all)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secrets) and self._configured == other._configured

    def __hash__(self) -> int:
        return hash(self._configured)

    def __repr__(self) -> str:
        return f"<{len(self._all)} secrets>"

    def redact(self, data: bytes) -> bytes:
        """Return `data` without any secret, however it is spelled."""
        return self._compiled().sub(MASK, data) if self._may_be_in(data) else data

    def redact_content(self, data: bytes) -> bytes:
        """Return a piece of content without the keys; nearly always `data` itself."""
        for rare, spelling in self._content:
            if rare in data and data.find(spelling) >= 0:
                return self._compiled().sub(MASK, data)
        if _BACKSLASH in data and data.find(_ESCAPE) >= 0:  # one byte is found faster than two
            for spelling in self._content_escaped:
                if data.find(spelling) >= 0:
                    return self._compiled().sub(MASK, data)
        return data

    def redact_answer(self, answer: ResponseHead | Failure) -> ResponseHead | Failure:
        """Return the result of an attempt without any secret, also in the names of fields."""
        if type(answer) is Failure:  # `isinstance` takes six times as long where it is false
            self.redact_error(answer.error)
            return answer
        if not self._may_be_in(answer.headers.joined()):
            return answer
        fields = answer.headers.raw
        kept = [(name, self.redact(value)) for name, value in fields if self.redact(name) == name]
        return answer if kept == list(fields) else replace(answer, headers=Headers(kept))

    def redact_error(self, error: UpstreamError) -> None:
        """Redact the message of an error in place."""
        text = self._without_all(error.message)
        if text != error.message:
            error.message = text
            error.args = (text,)

    def redact_summary(self, summary: AnswerSummary) -> AnswerSummary:
        """Return the facts of a response without the keys."""
        reasons, body = summary.finish_reasons, summary.body
        told = reasons[0] if len(reasons) == 1 else "\n".join(filter(None, reasons))
        text = (
            f"{summary.id}\n{summary.model}\n{summary.system_fingerprint}"
            f"\n{summary.service_tier}\n{told}"
        )
        for key in self._keys:
            if key in text:
                break
        else:
            if body is None or self.redact_content(body) is body:
                return summary  # as nearly always
        cleaned = {name: self._clean(getattr(summary, name)) for name in _FACTS}
        return replace(summary, **cleaned)

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._without_all(value)
        if isinstance(value, bytes):
            return self.redact_content(value)
        if isinstance(value, tuple):
            return tuple(map(self._clean, value))
        return value

    def _without_all(self, text: str) -> str:
        data = text.encode("utf-8", "surrogatepass")
        return self.redact(data).decode("utf-8", "surrogatepass")

    def _may_be_in(self, data: bytes) -> bool:
        """Return whether the slow pattern has to be tried."""
        text = data.decode("latin-1")  # text is searched at less than half the price of bytes
        for rare, literals in self._literals:
            if rare in text:
                for literal in literals:
                    if literal in text:
                        return True
        if "\\" in text or "%" in text or "&" in text:
            return bool(self._all)  # escapes of JSON, of URLs, of HTML
        return False

    def _compiled(self) -> re.Pattern[bytes]:
        """Return the pattern for all secrets, compiled on first use."""
        if self._pattern is None:
            alternatives = [each for secret in self._all for each in _alternatives(secret)]
            self._pattern = re.compile(b"|".join(alternatives))
        return self._pattern


def _rarest(secret: bytes) -> str:
    """Return the character of a secret that other text is most likely to lack.

    A character is found fifty times as fast as a secret.
    """
    text = secret.decode("latin-1")
    return min(text, key=lambda char: _RARE.find(char) if char in _RARE else len(_RARE))


def _is_unlikely(key: bytes) -> bool:
    """Return whether ordinary text is unlikely to contain the key by chance."""
    has_digit = any(digit in key for digit in b"0123456789")
    return len(key) >= (_UNLIKELY if has_digit else _UNLIKELY_WITHOUT_DIGIT)


def _spellings(key: bytes) -> Iterator[bytes]:
    """Yield the key as JSON writers spell it, from the fewest escapes to the most.

    Some escape slashes, some the special characters of HTML or URLs, some everything.
    """
    text = key.decode("latin-1")
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    made = [text, plain, plain.replace("/", "\\/")]
    for digits in ("04x", "04X"):
        made.append("".join(_escaped(c, digits) if c in _UNSAFE else c for c in text))
        made.append("".join(_escaped(c, digits) for c in text))
    yield from dict.fromkeys(spelling.encode() for spelling in made)


def _escaped(char: str, digits: str) -> str:
    return f"\\u{ord(char):{digits}}"


def _literals(secret: bytes) -> Iterator[bytes]:
    """Yield byte strings of which a text with the unescaped secret contains at least one."""
    if len(secret) < _WORD:
        yield secret
        return
    # Header names are in lower case.
    yield from dict.fromkeys((secret, secret.lower(), secret.decode("latin-1").encode()))
    yield from _base64(secret)


def _alternatives(secret: bytes) -> Iterator[bytes]:
    """Yield patterns for the secret in every spelling."""
    if len(secret) < _WORD:
        yield rb"(?i:bearer)[ +]" + re.escape(secret) + rb"(?![A-Za-z0-9_-])"
        return
    yield b"".join(map(_any_spelling, secret.decode("latin-1")))
    yield re.escape(secret)
    yield re.escape(secret.lower())
    yield from map(re.escape, _base64(secret))


def _any_spelling(char: str) -> bytes:
    """Return the pattern of one character: itself, or any of its escapes."""
    code, raw = ord(char), char.encode()
    hexes = b"".join(b"[%c%c]" % (ord(c.upper()), ord(c.lower())) for c in f"{code:02x}")
    ways = [
        re.escape(raw),
        rb"\\{1,16}u00" + hexes,
        rb"%(?:25)?" + hexes,
        rb"&#0{0,4}(?:%d|[xX]0{0,4}%b);" % (code, hexes),
    ]
    if raw in _NAMED:
        ways.append(b"&%b;" % _NAMED[raw])
    if raw in _ESCAPED_LETTERS:  # include the backslash: a leftover `\*` is not JSON
        ways.append(rb"\\{1,16}" + re.escape(raw))
    return b"(?:" + b"|".join(ways) + b")"


def _base64(secret: bytes) -> list[bytes]:
    """Return the base64 forms of the secret between other bytes, in both alphabets."""
    found = []
    for shift, unsure in ((0, 0), (1, 2), (2, 3)):  # characters shared with the bytes before
        whole = (shift + len(secret)) * 8 // 6
        text = b64encode(b"\0" * shift + secret)[unsure:whole]
        found += [text, text.translate(bytes.maketrans(b"+/", b"-_"))]
    return list(dict.fromkeys(found))
