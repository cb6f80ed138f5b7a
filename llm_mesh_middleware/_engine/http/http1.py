"""An answer in HTTP/1.1, out of the bytes that a connection brings; there is no socket here.

Both engines read with it. What they would have for it otherwise, h11 and aiohttp's parser with the
objects it fills, takes longer than all else in a call. The length of a body is read strictly
(RFC 9112 6.3): who is misled about it takes one answer for another. Nothing is read that h11 would
refuse.
"""

from __future__ import annotations

import re

from .protocols import MAX_HEAD_BYTES, TOKEN_BYTES, are_names

__all__ = ["ResponseReader", "NoResponse", "NotHTTP"]

Fields = list[tuple[bytes, bytes]]

# Separators are not counted where the limit of a head is kept.
_MAX_BUFFERED_BYTES = 2 * MAX_HEAD_BYTES

_BLANK_LINE = re.compile(rb"\n\r?\n")
# Some servers leave the reason out, and the space before it.
_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: [^\n]*|\r)?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")  # RFC 9112 5.2: a client reads it as a space
_MAX_LENGTH_DIGITS = 18
_CHUNK_SIZE = rb"([0-9A-Fa-f]{1,15})(?:;[^\r\n]*|[ \t]*)\r\n"
_FIRST_CHUNK = re.compile(_CHUNK_SIZE)
_NEXT_CHUNK = re.compile(rb"\r\n" + _CHUNK_SIZE)
# What frames a message must not stand behind it (RFC 9110 6.5.1).
_TRAILER = re.compile(
    rb"(?:(?!(?i:content-length|transfer-encoding):)"
    rb"[" + re.escape(TOKEN_BYTES) + rb"]+:[^\0\v\f\r\n]*\r\n)*\r\n"
)

_CRLF = b"\r\n"
_NO_BODY = frozenset((204, 304))
_UNTIL_CLOSED = -1


class NotHTTP(Exception):
    """What the connection has brought is no answer in HTTP, or only a part of one."""


class NoResponse(NotHTTP):
    """It has brought no answer at all, and there will be none."""


class ResponseReader:
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
            NoResponse: the end of the connection has come before the end of the head.
            NotHTTP: it is none of HTTP's.
        """
        if not data:
            raise NoResponse("the connection ended before the end of the head")
        at = max(len(self._buffer) - 2, 0)
        buffer = self._buffer + data
        while (blank := _BLANK_LINE.search(buffer, at)) is not None:
            head, buffer, at = buffer[: blank.start() + 1], buffer[blank.end() :], 0
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
            is_next = self._buffer == _CRLF and self._chunk is _NEXT_CHUNK
            if is_next and (body := self._feed_chunk(data)) is not None:
                return body
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
        is_odd = len(head.translate(None, b"\0\v\f")) < len(head)
        if is_odd or head.count(b"\r") != head.count(b"\r\n"):
            raise _wrong("head")
        begin = _STATUS_LINE.match(head)
        if begin is None:
            raise _wrong("status line")
        self.status = int(begin[2])
        self.fields = _fields(head[begin.end() : -1]) if len(head) > begin.end() else []
        if self.status == 101:  # nobody has asked for it
            raise _wrong("status")
        self._read_framing(dict(self.fields), is_keeping=begin[1] != b"0")

    def _read_framing(self, last: dict[bytes, bytes], *, is_keeping: bool) -> None:
        """How long the body is (RFC 9112 6.3); `last` has the last field of each name."""
        has_length, is_chunked = b"content-length" in last, b"transfer-encoding" in last
        left = self._length(last) if has_length else _UNTIL_CLOSED
        if is_chunked:
            if self._listed(b"transfer-encoding", last) != [b"chunked"]:
                raise _wrong("transfer coding")
            left = 0
        self.keeps = (
            is_keeping
            and (has_length or is_chunked or self.status in _NO_BODY)
            and not (has_length and is_chunked)  # one of them is a lie
            and (b"connection" not in last or b"close" not in self._listed(b"connection", last))
        )
        if self.status in _NO_BODY:
            left, is_chunked = 0, False
        self._left = left
        self._chunk = _FIRST_CHUNK if is_chunked else None
        self.is_over = left == 0 and not is_chunked

    def _length(self, last: dict[bytes, bytes]) -> int:
        length, others = last[b"content-length"], []
        if len(last) < len(self.fields) or not length.isdigit():  # one may be there twice
            length, *others = set(self._listed(b"content-length", last))
        if others or not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS:
            raise _wrong("length")
        return int(length)

    def _listed(self, name: bytes, last: dict[bytes, bytes]) -> list[bytes]:
        """The members of the list that the fields of that name are (RFC 9110 5.6.1)."""
        value = last[name]
        if len(last) < len(self.fields):  # some field is there twice
            value = b",".join([value for field, value in self.fields if field == name])
        return [member.strip() for member in value.lower().split(b",")]

    def _feed_chunk(self, data: bytes) -> bytes | None:
        """The short way for the bytes of one whole chunk that follows another."""
        begin = _FIRST_CHUNK.match(data)
        if begin is None or not (size := int(begin[1], 16)):
            return None
        at = begin.end()
        if len(data) != at + size + 2 or not data.endswith(_CRLF):
            return None
        return data[at:-2]  # the line end goes on being what the next chunk begins with

    def _feed_chunks(self, buffer: bytes, begin: re.Pattern[bytes]) -> bytes:
        pieces, at, left, size = [], 0, self._left, len(buffer)
        while True:
            if left:
                end = at + left
                pieces.append(buffer[at:end])
                if end > size:
                    at, left = size, end - size
                    break
                at, left = end, 0
            match = begin.match(buffer, at)
            if match is None:
                break
            at = match.end()
            if begin is _TRAILER:
                self.is_over = True
                self.keeps = self.keeps and at == size
                break
            left = int(match[1], 16)
            begin = _NEXT_CHUNK if left else _TRAILER
        self._left, self._chunk = left, begin
        self._buffer, data = buffer[at:], b"".join(pieces)
        # What is wrong behind the bytes of a chunk will be told when they have been delivered.
        if self._buffer and not (data or self.is_over) and _is_wrong(self._buffer, begin):
            raise _wrong("chunk")
        return data


def _fields(lines: bytes) -> Fields:
    """The fields that `lines` are, without blanks around the values."""
    if lines.find(b"\n ") >= 0 or lines.find(b"\n\t") >= 0:  # sooner told than by `in`
        lines = _FOLD.sub(b" ", lines)
    names, colons, values = zip(*[line.partition(b":") for line in lines.split(b"\n")], strict=True)
    if b"" in colons or not are_names(names):
        raise _wrong("field")
    return list(zip(map(bytes.lower, names), map(bytes.strip, values), strict=True))


def _is_wrong(line: bytes, begin: re.Pattern[bytes]) -> bool:
    """Whether `line`, which does not match `begin` yet, can no more do so."""
    if len(line) > _MAX_BUFFERED_BYTES:
        return True
    if begin is _NEXT_CHUNK:
        return not b"\r\n".startswith(line[:2]) or b"\n" in line[2:]
    return begin is _FIRST_CHUNK and b"\n" in line


def _wrong(part: str) -> NotHTTP:
    return NotHTTP(f"the {part} is not HTTP's")
