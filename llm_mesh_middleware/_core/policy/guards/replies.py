"""A reply after the guards: changed, replaced by a refusal, or ended by an error event."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Protocol

from msgspec.structs import replace

from ....exceptions import AnswerableError, ContentBlocked, PolicyUnavailable
from ...dialect import Dialect, ServedOperation
from ...flow.call import Account, Call
from ...flow.reply import Flow, Reply, as_stream, refusal
from ...values.steps import Body, Step, Steps
from .bodies import is_coded

__all__ = ["AskVerdict", "Passing", "Refusals", "dropped", "guarded", "held"]

# Called after each event of a stream: gets verdicts and returns the bytes that may be sent.
AskVerdict = Callable[[], Generator[Step, Any, bytes]]
Refusals = (ContentBlocked, PolicyUnavailable)


class Passing(Protocol):
    """What the bytes of a streamed body pass through.

    `events` counts those that were read. `released` may be sent although what follows is denied.
    """

    released: bytes

    @property
    def events(self) -> int: ...

    def feed(self, data: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


def held(call: Call, proceed: Callable[[Call], Flow]) -> Flow:
    """Serve a call, and hold the end of the exchange if there is a reply for `guarded` to read."""
    call.account.hold()
    try:
        return (yield from proceed(call))
    except BaseException:
        call.account.release()
        raise


def guarded(
    reply: Reply,
    operation: ServedOperation,
    account: Account,
    *,
    whole: Callable[[bytes], Generator[Step, Any, bytes]],
    stream: Callable[[], tuple[Passing, AskVerdict | None]],
) -> Flow:
    """Return the reply after the guards, and release the end of the exchange.

    Args:
        reply: the reply so far.
        operation: the client's operation.
        account: held by the caller; released after the guards.
        whole: returns a whole body after the guards, or raises one of `Refusals`.
        stream: makes the filter of a streamed body.
    """
    error: AnswerableError | None = None
    reply = as_stream(reply)  # a provider may have sent JSON, of which the mesh has made events
    try:
        if is_coded(reply.headers):
            raise ContentBlocked("the response is compressed in a way that guards cannot read")
        if not isinstance(reply.body, bytes):
            # Held until the body ends; `finally` releases what the caller held.
            passing, ask_verdict = stream()
            body = _body(reply.body, passing, operation.dialect, account, ask_verdict)
            account.hold()
            return replace(reply, body=body)
        left = yield from whole(reply.body)
    except Refusals as refused:
        # Not raised: the attempt was successful, and is recorded as such.
        error = refused
        yield from dropped(reply, refused)
        return refusal(error, operation)
    finally:
        account.release(error, status=None if error is None else error.status)
    if left is reply.body:
        return reply
    headers = [field for field in reply.headers if field[0] != b"content-length"]
    return replace(reply, headers=[*headers, (b"content-length", b"%d" % len(left))], body=left)


def dropped(reply: Reply, error: AnswerableError) -> Steps:
    """End a reply that is not sent; a stream returns its connection."""
    body = reply.body
    if isinstance(body, bytes):
        return
    try:
        next(body)  # only a generator that has begun can be ended
    except StopIteration:
        return
    yield from _ended(body, error)


def _body(
    body: Body, stream: Passing, dialect: Dialect, account: Account, ask_verdict: AskVerdict | None
) -> Body:
    """Pass on the bytes after the guards; end the response if one denies it."""
    error: AnswerableError | None = None
    feed, send, value = stream.feed, body.send, None
    advance: Any = send
    try:
        while True:
            try:
                item = advance(value)
            except StopIteration:
                break
            advance, value = send, None
            try:
                if item.__class__ is bytes:
                    item = feed(item)
                    if ask_verdict is not None:
                        item = yield from _with_verdict(item, stream, ask_verdict)
                    if not item:
                        continue
                value = yield item
            except (GeneratorExit, *Refusals):
                raise
            except BaseException as reason:  # thrown into the response's body
                advance, value = body.throw, reason
        yield from _last(stream, ask_verdict)
    except GeneratorExit:
        body.close()
        raise
    except Refusals as refused:
        error = refused
        yield from _ended(body, error)
        yield stream.released + dialect.error_event(error, position=stream.events)
    finally:
        account.release(error)


def _last(stream: Passing, ask_verdict: AskVerdict | None) -> Body:
    """End the texts of a response that has ended; they may still wait for a verdict."""
    last = stream.finish()
    if ask_verdict is not None:
        last = yield from _with_verdict(last, stream, ask_verdict)
    if last:
        yield last


def _with_verdict(
    passed: bytes, stream: Passing, ask_verdict: AskVerdict
) -> Generator[Step, Any, bytes]:
    """Return what may be sent, with what a verdict lets pass; its denial drops nothing of that."""
    stream.released = passed
    passed += yield from ask_verdict()
    stream.released = b""
    return passed


def _ended(body: Body, error: AnswerableError) -> Steps:
    """End a response early; drop the bytes that are left."""
    advance: Any = body.throw
    value: Any = error
    try:
        while True:
            item = advance(value)
            advance, value = body.send, None
            if not isinstance(item, bytes):
                value = yield item
    except (StopIteration, *Refusals):
        pass
