"""Read an HTTP/1.1 response from the bytes of a connection; sans-IO.

Both drivers use it, because h11 or aiohttp's parser would take longer than the rest of a call. It
rejects everything that h11 rejects: a client that is misled about the length of a body (RFC 9112
6.3) mistakes one response for another.

    state        expects                                 next state
    head         fields up to a blank line               body; head again after 1xx
    body         Content-Length bytes                    over
    body         the end of the connection               over
    chunk size   SIZE [; extension] CRLF                 chunk; trailer if SIZE is 0
    chunk        SIZE bytes                              chunk end
    chunk end    CRLF                                    chunk size
    trailer      field CRLF                              trailer
    trailer      CRLF                                    over

Time is linear in the bytes, however they are cut: an incomplete line is extended in place and
parsed once it is complete. Heads, lines and trailers have size limits.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..._core.values.headers import Headers
from ..chunk_lines import FIRST_LINES, MAX_LONE, SIZE_LINE, SIZES, first_line
from .protocols import MAX_HEAD_BYTES, TOKEN_BYTES, are_names

__all__ = ["NoResponse", "NotHTTP", "ResponseReader"]

Fields = list[tuple[bytes, bytes]]

# For all heads up to the final one; separators do not count.
_MAX_HEADS_BYTES = 2 * MAX_HEAD_BYTES
_MAX_LINE_BYTES = 16 * 1024
_MAX_TRAILER_BYTES = 16 * 1024
_MAX_TRAILERS = 128
_MAX_LENGTH_DIGITS = 18

_BLANK_LINE = re.compile(rb"\n\r?\n")
# Some servers omit the reason, and the space before it.
_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: [^\n]*|\r)?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")  # RFC 9112 5.2: a client reads it as a space

_CRLF, _BLANK = b"\r\n", b"\r\n\r\n"
# Replaces what a field value must not have; without a change it returns the same value, and fast.
_CONTROLS = frozenset((*range(9), *range(10, 32), 127))
_WITHOUT_CONTROLS = bytes(ord("?") if byte in _CONTROLS else byte for byte in range(256))
_NO_BODY = frozenset((204, 304))
_NO_HEADERS = Headers()
_UNTIL_CLOSED = -1


class _Line(NamedTuple):
    """A kind of line in a chunked body, and how one must begin."""

    whole: re.Pattern[bytes]
    beginning: re.Pattern[bytes]  # of the first two bytes


_TOKEN = rb"[" + re.escape(TOKEN_BYTES) + rb"]"
_CHUNK_SIZE = _Line(re.compile(SIZE_LINE), re.compile(rb"[0-9A-Fa-f]"))
_NEXT_CHUNK = re.compile(rb"\r\n(?!0+[;\r \t])" + SIZE_LINE)  # the lines between two chunks
_CHUNK_END = _Line(re.compile(_CRLF), re.compile(rb"\r\Z"))
# A trailer must not frame the message that it ends (RFC 9110 6.5.1).
_TRAILER = _Line(
    re.compile(
        rb"(?!(?i:content-length|transfer-encoding):)" + _TOKEN + rb"+:[^\0\v\f\r\n]*\r\n|(\r\n)"
    ),
    re.compile(_TOKEN + rb"|\r\Z"),
)


class NotHTTP(Exception):
    """The received bytes are not an HTTP response, or only part of one; the message says why."""


class NoResponse(NotHTTP):
    """The connection ended before a response began or its head was complete."""


class ResponseReader:
    """Reads one response; feed it received bytes, and empty bytes at the end of the connection.

    `status` and `headers` are set when `feed_head` returns bytes; `is_clean` is whether the head is
    known to have no control characters and no more than `MAX_HEAD_BYTES`. `is_over` means that the
    body is complete, or that `error` is set. `keeps` is whether the connection can be reused after
    that.
    """

    def __init__(self) -> None:
        self.status = 0  # a struct would take longer: nearly all of them are set again
        self.headers = _NO_HEADERS
        self.is_clean = False
        self.is_over = False
        self.keeps = False
        self.error: NotHTTP | None = None
        self._held: bytearray | None = None  # an incomplete head or line
        self._spent = 0  # bytes of the heads, then of the trailers
        self._left = 0  # of the body, or of the current chunk
        self._is_chunked = False
        self._line = _CHUNK_SIZE  # the next line of a chunked body
        self._trailers = 0

    def feed_head(self, data: bytes) -> bytes | None:
        """Feed bytes of the head.

        Returns:
            None until the head is complete; then the first bytes of the body, to feed next.

        Raises:
            NoResponse: the connection ended before the head did.
            NotHTTP: the bytes are not the head of an HTTP response, or too many.
        """
        if not data:
            raise NoResponse("the connection ended before the end of the head")
        held, start, at = self._held, 0, 0
        if held is not None:
            at = max(len(held) - 2, 0)
            held += data
        elif not self._spent:
            head, end, rest = data.partition(_BLANK)
            if end and self._read_plain(head):
                if self.is_over and rest:
                    self.keeps = False
                return rest
        buffer = data if held is None else held
        while (blank := _BLANK_LINE.search(buffer, at)) is not None:
            head_end, at = blank.start() + 1, blank.end()
            self._spent += at - start
            if self._spent > _MAX_HEADS_BYTES:
                break
            self._read_head(data[start:head_end] if held is None else bytes(held[start:head_end]))
            start = at
            if self.status >= 200:  # informational ones may precede it
                self._held, self._spent = None, 0
                rest = data[start:] if held is None else bytes(held[start:])
                if self.is_over and rest:
                    self.keeps = False
                return rest
        self._held = held = bytearray(data) if held is None else held
        del held[:start]
        if self._spent + len(held) > _MAX_HEADS_BYTES:
            raise NotHTTP(f"its head is longer than {_MAX_HEADS_BYTES} bytes")
        if held[:5] != b"HTTP/"[: len(held)]:
            raise _wrong("head")
        return None

    def feed(self, data: bytes) -> bytes:
        """Feed bytes; return those of the body, possibly none.

        Raises:
            NotHTTP: the body is incomplete, or its framing is broken. Bytes of the body that came
                before the fault are returned first, and `error` is set.
        """
        if self._left == _UNTIL_CLOSED:
            self.is_over = not data
            return data
        if not data:
            raise self.error or _wrong("end of the body")
        if self._is_chunked:
            if self._line is _CHUNK_SIZE and self._held is None:
                if (size := len(data)) < MAX_LONE:  # nearly always an event comes alone
                    rest = data.removeprefix(FIRST_LINES[size] or first_line(size))
                    content = rest.removesuffix(_CRLF)
                    if rest is not data and content is not rest:
                        return content
                if (body := self._feed_whole_chunks(data)) is not None:
                    return body
            return self._feed_chunks(data)
        self._left -= len(data)
        if self._left > 0:
            return data
        self.is_over = True
        if self._left == 0:
            return data
        self.keeps = False  # unexpected bytes
        return data[: self._left]

    def _read_plain(self, head: bytes) -> bool:
        """Read a final head on the fast path, without its last two line ends; as nearly all are.

        Returns:
            False if there is anything in it that the other path must judge.
        """
        lines = head.split(_CRLF)
        plain = b"".join(lines)
        if len(head) > MAX_HEAD_BYTES or plain.translate(_WITHOUT_CONTROLS) != plain:
            return False
        begin = _BEGINNINGS[lines[0]]
        if begin is None:
            return False
        fields = []
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon or (lower := _LOWER_NAMES[name]) is None:
                return False
            fields.append((lower, value.strip()))
        self.status, is_keeping = begin
        self.headers, self.is_clean = Headers(fields), True
        self._read_framing(is_keeping)
        return True

    def _read_head(self, head: bytes) -> None:
        # `find`: for bytes in bytes, `in` first fails to read a number, at ten times the price.
        is_odd = head.find(b"\0") >= 0 or head.find(b"\v") >= 0 or head.find(b"\f") >= 0
        if is_odd or head.count(b"\r") != head.count(b"\r\n"):
            raise _wrong("head")
        begin = _STATUS_LINE.match(head)
        if begin is None:
            raise _wrong("status line")
        self.status = int(begin[2])
        fields = _fields(head[begin.end() : -1]) if len(head) > begin.end() else []
        self.headers = Headers(fields)
        if self.status == 101:  # no upgrade was requested
            raise _wrong("status")
        self._read_framing(begin[1] != b"0")

    def _read_framing(self, is_keeping: bool) -> None:
        """Find how long the body is (RFC 9112 6.3)."""
        names = self.headers.by_name
        has_length, is_chunked = b"content-length" in names, b"transfer-encoding" in names
        left = self._length() if has_length else _UNTIL_CLOSED
        if is_chunked:
            if self._listed(b"transfer-encoding") != [b"chunked"]:
                raise _wrong("transfer coding")
            left = 0
        is_framed = has_length is not is_chunked  # with both, they contradict each other
        if self.status in _NO_BODY:
            left, is_framed = 0, not (has_length and is_chunked)
            is_chunked = False
        self.keeps = (
            is_keeping
            and is_framed
            and (b"connection" not in names or b"close" not in self._listed(b"connection"))
        )
        self._left = left
        self._is_chunked = is_chunked
        self.is_over = left == 0 and not is_chunked

    def _length(self) -> int:
        headers = self.headers
        length = headers.by_name[b"content-length"]
        if headers.has_duplicates or not length.isdigit():  # it may be repeated
            length, *others = set(self._listed(b"content-length"))
            if others or not length.isdigit():
                raise _wrong("length")
        if len(length) > _MAX_LENGTH_DIGITS:
            raise _wrong("length")
        return int(length)

    def _listed(self, name: bytes) -> list[bytes]:
        """Return the list members of all fields with that name (RFC 9110 5.6.1)."""
        value = b",".join(self.headers.get_all(name))
        return [member.strip() for member in value.lower().split(b",")]

    def _feed_whole_chunks(self, data: bytes) -> bytes | None:
        """Read `data` on the fast path if it is nothing but whole chunks.

        Several are read only without line ends in them.
        """
        first, _, rest = data.partition(_CRLF)
        if not (size := SIZES[first]):
            return None
        content = rest.removesuffix(_CRLF)
        if size == len(content) and content is not rest:
            return content
        lines = data.split(_CRLF)  # size, content, size, content, nothing
        sizes, contents = [*map(SIZES.__getitem__, lines[:-1:2])], lines[1::2]
        is_whole = not lines[-1] and all(sizes) and sizes == [*map(len, contents)]
        return b"".join(contents) if is_whole else None

    def _feed_chunks(self, data: bytes) -> bytes:
        if self.error is not None:
            raise self.error
        pieces, at, size = [], 0, len(data)
        try:
            while at < size and not self.is_over:
                if not self._left:
                    at = self._feed_line(data, at)
                    continue
                end = at + self._left
                pieces.append(data[at:end])
                while (next_ := _NEXT_CHUNK.match(data, end)) is not None:  # the fast path again
                    at = next_.end()
                    if at - end > _MAX_LINE_BYTES:
                        raise _wrong("size of the line")
                    end = at + int(next_[1], 16)
                    pieces.append(data[at:end])
                self._left = max(end - size, 0)
                at = min(end, size)
        except NotHTTP as error:
            self.error, self.is_over, self.keeps = error, True, False
            if not pieces:
                raise
        if at < size:
            self.keeps = False  # unexpected bytes
        return b"".join(pieces)

    def _feed_line(self, data: bytes, at: int) -> int:
        """Read the next line, or buffer its beginning; return the next position in `data`."""
        line, held = self._line, self._held
        if held is None:
            match = line.whole.match(data, at)
            end = match.end() if match is not None else data.find(b"\n", at) + 1
        else:
            end = data.find(b"\n", at) + 1
            held += data[at : end or len(data)]
            match = line.whole.fullmatch(held) if end else None
        if not end:
            if held is None:
                held = self._held = bytearray(data[at:])
            if line.beginning.match(held[:2]) is None or len(held) > _MAX_LINE_BYTES:
                raise _wrong("chunk")
            return len(data)
        self._held = None
        if match is None:
            raise _wrong("trailer" if line is _TRAILER else "chunk")
        self._end_line(line, match)
        return end

    def _end_line(self, line: _Line, match: re.Match[bytes]) -> None:
        size = match.end() - match.start()
        if size > _MAX_LINE_BYTES:
            raise _wrong("size of the line")
        if line is _CHUNK_SIZE:
            self._left = int(match[1], 16)
            self._line = _CHUNK_END if self._left else _TRAILER
        elif line is _CHUNK_END:
            self._line = _CHUNK_SIZE
        elif match[1] is not None:
            self.is_over = True
        else:
            self._spent += size
            self._trailers += 1
            if self._spent > _MAX_TRAILER_BYTES or self._trailers > _MAX_TRAILERS:
                raise _wrong("size of the trailer")


class _Beginnings(dict[bytes, tuple[int, bool] | None]):
    """The status of a status line, and whether its version keeps connections; None if it is odd.

    Providers choose them: at most 64 of 64 bytes are kept.
    """

    def __missing__(self, line: bytes) -> tuple[int, bool] | None:
        begin = _STATUS_LINE.fullmatch(line + _CRLF)
        found = None
        if begin is not None and (status := int(begin[2])) >= 200:
            found = status, begin[1] != b"0"
        if len(line) <= 64:
            if len(self) >= 64:
                self.clear()
            self[line] = found
        return found


class _LowerNames(dict[bytes, bytes | None]):
    """A field name in lower case; None if it is none. At most 1,024 of 64 bytes are kept."""

    def __missing__(self, name: bytes) -> bytes | None:
        found = name.lower() if are_names((name,)) else None
        if len(name) <= 64:
            if len(self) >= 1024:
                self.clear()
            self[name] = found
        return found


_BEGINNINGS = _Beginnings()
_LOWER_NAMES = _LowerNames()


def _fields(lines: bytes) -> Fields:
    """Split `lines` into fields, without blanks around the values."""
    if lines.find(b"\n ") >= 0 or lines.find(b"\n\t") >= 0:  # faster than `in`
        lines = _FOLD.sub(b" ", lines)
    names, colons, values = zip(*[line.partition(b":") for line in lines.split(b"\n")], strict=True)
    if b"" in colons or not are_names(names):
        raise _wrong("field")
    return list(zip(map(bytes.lower, names), map(bytes.strip, values), strict=True))


def _wrong(part: str) -> NotHTTP:
    return NotHTTP(f"its {part} is invalid")
