"""An answer in HTTP/1.1, out of the bytes that a connection brings; there is no socket here.

Both engines read with it. What they would have for it otherwise, h11 and aiohttp's parser with the
objects it fills, takes longer than all else in a call. The length of a body is read strictly
(RFC 9112 6.3): who is misled about it takes one answer for another. Nothing is read that h11 would
refuse.
"""

from __future__ import annotations

import re

from .upstream import MAX_HEAD_BYTES

__all__ = ["AnswerReader", "NoAnswer", "NotHTTP"]

Fields = list[tuple[bytes, bytes]]

# Separators are not counted where the limit of a head is kept.
_MAX_BUFFERED_BYTES = 2 * MAX_HEAD_BYTES

_TOKEN = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
_NAME = re.compile(_TOKEN)
_BLANK_LINE = re.compile(rb"\n\r?\n")
_FOLD = re.compile(rb"\n[ \t]+")  # RFC 9112 5.2: a client reads it as a space
# Some servers leave the reason out, and the space before it.
_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: .*)?")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CHUNK_SIZE = rb"([0-9A-Fa-f]{1,15})(?:;[^\r\n]*|[ \t]*)\r\n"
_FIRST_CHUNK = re.compile(_CHUNK_SIZE)
_NEXT_CHUNK = re.compile(rb"\r\n" + _CHUNK_SIZE)
_TRAILER = re.compile(rb"(?:" + _TOKEN + rb":[^\0\r\n]*\r\n)*\r\n")

_NO_BODY = frozenset((204, 304))
_UNTIL_CLOSED = -1


class NotHTTP(Exception):
    """What the connection has brought is no answer in HTTP, or only a part of one."""


class NoAnswer(NotHTTP):
    """It has brought no answer at all, and there will be none."""


class AnswerReader:
    """One answer: it is fed with what the connection brings, empty for its end.

    `status` and `fields` are there when `feed_head` says so. `is_over` tells that the body is
    complete, `keeps` that the connection can then carry another call.
    """

    __slots__ = ("_buffer", "_chunk", "_left", "fields", "is_over", "keeps", "status")

    def __init__(self) -> None:
        self.status = 0
        self.fields: Fields = []
        self.is_over = False
        self.keeps = False
        self._buffer = b""
        self._left = 0  # of the body, or of a chunk
        self._chunk: re.Pattern[bytes] | None = None  # what the next chunk begins with

    def feed_head(self, data: bytes) -> bytes | None:
        """Take bytes of the head.

        Returns:
            None as long as it is not complete; then what has come of the body, which is to be fed.

        Raises:
            NoAnswer: the end of the connection has come before the end of the head.
            NotHTTP: it is none of HTTP's.
        """
        if not data:
            raise NoAnswer("the connection ended before the end of the head")
        at = max(len(self._buffer) - 2, 0)
        buffer = self._buffer + data
        while (blank := _BLANK_LINE.search(buffer, at)) is not None:
            head, buffer, at = buffer[: blank.start()], buffer[blank.end() :], 0
            self._read_head(head)
            if self.status >= 200:  # before it there may be informational ones
                if self.is_over and buffer:
                    self.keeps = False
                self._buffer = b""
                return buffer
        if len(buffer) > _MAX_BUFFERED_BYTES or not buffer.startswith(b"HTTP/"[: len(buffer)]):
            raise _wrong("head")
        self._buffer = buffer
        return None

    def feed(self, data: bytes) -> bytes:
        """Take bytes, return those of the body; there may be none yet.

        Raises:
            NotHTTP: the body breaks off, or is not framed as it must be.
        """
        if self._left == _UNTIL_CLOSED:
            self.is_over = not data
            return data
        if not data:
            raise _wrong("end of the body")
        if self._chunk is not None:
            return self._feed_chunks(self._buffer + data, self._chunk)
        self._left -= len(data)
        if self._left > 0:
            return data
        self.is_over = True
        if self._left == 0:
            return data
        self.keeps = False  # nobody has asked for the rest
        return data[: self._left]

    def _read_head(self, head: bytes) -> None:
        if b"\0" in head or head.count(b"\r") != head.count(b"\r\n") + head.endswith(b"\r"):
            raise _wrong("head")
        line, _, lines = head.replace(b"\r", b"").partition(b"\n")
        if b"\n " in lines or b"\n\t" in lines:
            lines = _FOLD.sub(b" ", lines)
        match = _STATUS_LINE.fullmatch(line)
        if match is None:
            raise _wrong("status line")
        self.status = int(match[2])
        fields = self.fields = []
        for line in lines.split(b"\n") if lines else ():
            name, colon, value = line.partition(b":")
            if not colon or _NAME.fullmatch(name) is None:
                raise _wrong("field")
            fields.append((name.lower(), value.strip(b" \t")))
        if self.status == 101:  # nobody has asked for it
            raise _wrong("status")
        self._read_framing(dict(fields), is_keeping=match[1] != b"0")

    def _read_framing(self, last: dict[bytes, bytes], *, is_keeping: bool) -> None:
        """How long the body is (RFC 9112 6.3); `last` has the last field of each name."""
        has_length, is_chunked = b"content-length" in last, b"transfer-encoding" in last
        left = self._length() if has_length else _UNTIL_CLOSED
        if is_chunked:
            if [value.lower() for value in self._values(b"transfer-encoding")] != [b"chunked"]:
                raise _wrong("transfer coding")
            left = 0
        self.keeps = (
            is_keeping
            and (has_length or is_chunked or self.status in _NO_BODY)
            and not (has_length and is_chunked)  # one of them is a lie
            and (b"connection" not in last or b"close" not in self._listed(b"connection"))
        )
        if self.status in _NO_BODY:
            left, is_chunked = 0, False
        self._left = left
        self._chunk = _FIRST_CHUNK if is_chunked else None
        self.is_over = left == 0 and not is_chunked

    def _length(self) -> int:
        lengths = self._listed(b"content-length")
        length = lengths.pop()
        if lengths or _LENGTH.fullmatch(length) is None:
            raise _wrong("length")
        return int(length)

    def _values(self, name: bytes) -> list[bytes]:
        return [value for field, value in self.fields if field == name]

    def _listed(self, name: bytes) -> set[bytes]:
        values = b",".join(self._values(name)).lower().split(b",")
        return {value.strip() for value in values}

    def _feed_chunks(self, buffer: bytes, begin: re.Pattern[bytes]) -> bytes:
        pieces, at = [], 0
        while True:
            if self._left:
                pieces.append(buffer[at : at + self._left])
                at += len(pieces[-1])
                self._left -= len(pieces[-1])
                if self._left:
                    break
            match = begin.match(buffer, at)
            if match is None:
                break
            at = match.end()
            if begin is _TRAILER:
                self.is_over = True
                self.keeps = self.keeps and at == len(buffer)
                return b"".join(pieces)
            self._left = int(match[1], 16)
            begin = self._chunk = _NEXT_CHUNK if self._left else _TRAILER
        self._buffer, data = buffer[at:], b"".join(pieces)
        if self._buffer and not data and _is_wrong(self._buffer, begin):  # else it will be told
            raise _wrong("chunk")
        return data


def _is_wrong(line: bytes, begin: re.Pattern[bytes]) -> bool:
    """Whether `line`, which does not match `begin` yet, can no more do so."""
    if len(line) > _MAX_BUFFERED_BYTES:
        return True
    if begin is _NEXT_CHUNK:
        return not b"\r\n".startswith(line[:2]) or b"\n" in line[2:]
    return begin is _FIRST_CHUNK and b"\n" in line


def _wrong(part: str) -> NotHTTP:
    return NotHTTP(f"the {part} is not HTTP's")
