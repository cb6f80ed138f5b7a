"""Turns an answer value into steps: bytes to send, waits, and last the ending. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, TypeAlias

from ._answers import Answer, AnswerValue, Cut, Drip, Gate, Headers, Raw, Stream
from ._bodies import encode_json

Ending: TypeAlias = Literal["keep", "close", "fin", "reset", "stall"]
"""`keep` and `close` end a complete answer, the others break one off."""
Step: TypeAlias = bytes | float | Gate | Ending

_BODILESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class WireContext:
    """The facts of the request that rendering needs, and the default answer."""

    method: str
    keep_alive: bool
    default: Callable[[], AnswerValue]


def wire(answer: AnswerValue | None, context: WireContext) -> Iterator[Step]:
    """Render `answer`; the last step, and only the last, is an `Ending`."""
    match answer:
        case None:
            return wire(context.default(), context)
        case Answer():
            return _answer(answer, context)
        case Stream():
            return _stream(answer, context)
        case Raw():
            return iter((answer.data, "close" if answer.end == "done" else answer.end))
        case Cut():
            return _cut(answer, context)
        case Drip():
            return _drip(answer, context)


def encoded_answer(answer: Answer) -> tuple[bytes, list[tuple[str, str]]]:
    """Return the body as bytes, and the fields with its content type."""
    body, content_type = _encoded(answer.body)
    headers = list(answer.headers)
    if content_type and "content-type" not in _names(headers):
        headers.append(("content-type", content_type))
    return body, headers


def _answer(answer: Answer, context: WireContext) -> Iterator[Step]:
    body, headers = encoded_answer(answer)
    names = _names(answer.headers)
    is_framed = bool(names & {"content-length", "transfer-encoding"})
    if not is_framed and answer.status not in _BODILESS:
        headers.append(("content-length", str(len(body))))
    is_honest = not is_framed or ("content-length", str(len(body))) in _lowered(answer.headers)
    has_body = context.method != "HEAD" and answer.status not in _BODILESS
    keep = context.keep_alive and is_honest and not _says_close(headers)
    yield answer.delay
    # One write: a client that got the head has the body at once, as from most providers.
    yield _head(answer.status, headers, keep=keep) + (body if has_body else b"")
    yield "keep" if keep else "close"


def _stream(stream: Stream, context: WireContext) -> Iterator[Step]:
    chunks, headers, names = stream.chunks, list(stream.headers), _names(stream.headers)
    if stream.framing == "chunked" and "transfer-encoding" not in names:
        headers.append(("transfer-encoding", "chunked"))
    if stream.framing == "length" and "content-length" not in names:
        chunks = list(chunks)
        headers.append(("content-length", str(_size(chunks))))
    is_whole = stream.framing != "close" and stream.end == "done"
    keep = context.keep_alive and is_whole and not _says_close(headers)
    yield stream.delay
    yield _head(stream.status, headers, keep=keep)
    is_first = True
    for chunk in chunks:
        if not isinstance(chunk, bytes):
            yield chunk
        elif chunk:  # an empty one would be the last-chunk
            if not is_first:
                yield stream.pause
            is_first = False
            yield b"%x\r\n%b\r\n" % (len(chunk), chunk) if stream.framing == "chunked" else chunk
    yield from _stream_end(stream, keep=keep)


def _stream_end(stream: Stream, *, keep: bool) -> Iterator[Step]:
    match stream.end:
        case "done":
            if stream.framing == "chunked":
                yield b"0\r\n\r\n"
            yield "keep" if keep else "close"
        case "bad_chunk":
            yield b"no-size\r\n"
            yield "fin"
        case "fin" | "reset" | "stall":
            yield stream.end


def _cut(cut: Cut, context: WireContext) -> Iterator[Step]:
    steps, left = wire(cut.answer, context), cut.after
    if cut.at is not None:
        whole = list(steps)
        steps, left = iter(whole), int(cut.at * _size(whole))
    for step in steps:
        if isinstance(step, bytes):
            if left <= len(step):
                yield step[:left]
                yield cut.how
                return
            left -= len(step)
        elif isinstance(step, str):
            raise ValueError(
                f"the answer ends {left} bytes before the place to cut, after={cut.after}"
            )
        yield step


def _drip(drip: Drip, context: WireContext) -> Iterator[Step]:
    is_first = True
    for step in wire(drip.answer, context):
        if not isinstance(step, bytes):
            yield step
            continue
        for start in range(0, len(step), drip.size):
            if not is_first:
                yield drip.interval
            is_first = False
            yield step[start : start + drip.size]


def _head(status: int, headers: Headers, *, keep: bool) -> bytes:
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    if not keep and not _says_close(headers):
        lines.append("connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _encoded(body: bytes | str | Mapping[str, object]) -> tuple[bytes, str]:
    if isinstance(body, bytes):
        return body, ""
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    return encode_json(body), "application/json"


def _says_close(headers: Headers) -> bool:
    return any(
        name == "connection" and value.lower() == "close" for name, value in _lowered(headers)
    )


def _lowered(headers: Headers) -> set[tuple[str, str]]:
    return {(name.lower(), value) for name, value in headers}


def _names(headers: Headers) -> set[str]:
    return {name.lower() for name, _ in headers}


def _size(steps: list[Step] | list[bytes | float | Gate]) -> int:
    return sum(len(step) for step in steps if isinstance(step, bytes))
