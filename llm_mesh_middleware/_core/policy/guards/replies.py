"""A reply as guards let it pass: changed, replaced by a refusal, or ended by an error event."""

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

__all__ = ["Asks", "Passing", "Refusals", "dropped", "guarded", "held"]

# Whom a stream asks after each event, and what may be sent after the verdict.
Asks = Callable[[], Generator[Step, Any, bytes]]
Refusals = (ContentBlocked, PolicyUnavailable)


class Passing(Protocol):
    """What the bytes of a streamed body pass through; `events` counts those that were read."""

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
    stream: Callable[[], tuple[Passing, Asks | None]],
) -> Flow:
    """Return the reply with what guards leave of it, and release the end of the exchange.

    Args:
        reply: the reply so far.
        operation: what the client asked for.
        account: held; it is released when the guards have spoken.
        whole: returns what is left of a whole body, or raises one of `Refusals`.
        stream: makes what a streamed body passes through.
    """
    error: AnswerableError | None = None
    reply = as_stream(reply)  # a provider may have sent JSON, of which the mesh has made events
    try:
        if is_coded(reply.headers):
            raise ContentBlocked("the response is compressed in a way that guards cannot read")
        if not isinstance(reply.body, bytes):
            # Held until the body ends; `finally` releases what the caller held.
            passing, asks = stream()
            body = _body(reply.body, passing, operation.dialect, account, asks)
            account.hold()
            return replace(reply, body=body)
        left = yield from whole(reply.body)
    except Refusals as refused:
        # Not raised: how the provider did has been recorded, and it did well.
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
    """End a reply that is not sent; one that is a stream gives its connection back."""
    body = reply.body
    if isinstance(body, bytes):
        return
    try:
        next(body)  # what has not begun cannot be ended
    except StopIteration:
        return
    yield from _ended(body, error)


def _body(
    body: Body, stream: Passing, dialect: Dialect, account: Account, asks: Asks | None
) -> Body:
    """Pass on what the guards let pass; end the response if one denies it."""
    error: AnswerableError | None = None
    try:
        yield from _passed(body, stream, asks)
    except Refusals as refused:
        error = refused
        yield from _ended(body, error)
        yield dialect.error_event(error, position=stream.events)
    finally:
        account.release(error)


def _passed(body: Body, stream: Passing, asks: Asks | None) -> Body:
    advance: Any = body.send
    value: Any = None
    while True:
        try:
            item = advance(value)
        except StopIteration:
            break
        advance, value = body.send, None
        try:
            if isinstance(item, bytes):
                item = stream.feed(item)
                if asks is not None:
                    item += yield from asks()
                if not item:
                    continue
            value = yield item
        except GeneratorExit:
            body.close()
            raise
        except Refusals:
            raise
        except BaseException as reason:  # for the response to deal with
            advance, value = body.throw, reason
    # The response has ended, but its last words may still wait for a verdict.
    last = stream.finish()
    if asks is not None:
        last += yield from asks()
    if last:
        yield last


def _ended(body: Body, error: AnswerableError) -> Steps:
    """End a response early, whatever it still has to say."""
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
