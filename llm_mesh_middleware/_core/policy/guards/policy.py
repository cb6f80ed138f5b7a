"""Two layers of guards: around everything else, and next to the attempts.

request    RequestGuards   deny > 403 in the client's dialect, nothing is sent
                           mask > limits, cache, provider and records see the placeholder
response   ResponseGuards  whole   deny > 403 instead of it
                           stream  deny > an error event; the rest is dropped, the call cancelled
                           mask > the cache and the client see the placeholder
           RequestGuards   placeholders of this request become its values again, last of all
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from ....exceptions import ContentBlocked
from ...dialect import Dialect, ServedOperation
from ...flow.call import Call
from ...flow.reply import Flow, Reply, refusal
from ...guarding.guard import Guard
from ...guarding.placeholders import Placeholders
from ...guarding.stream import GuardedStream
from ...guarding.window import Inspection
from ...values.decision import Decision
from ...values.steps import Body
from .bodies import guarded_request, guarded_response, is_coded, masker

__all__ = ["RequestGuards", "ResponseGuards"]

_EFFECTS = {"deny": "denied", "mask": "masked", "log": "logged"}


@dataclass(frozen=True, slots=True)
class RequestGuards:
    """The guards of a rule that look at requests, in order."""

    guards: tuple[Guard, ...]

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call whose request the guards let pass.

        Raises:
            ContentBlocked: a guard denies it.
        """
        operation, guards = _held(self.guards, call)
        if operation is None:
            return (yield from proceed(call))
        values = Placeholders(call.request.body)
        inspection = Inspection(guards, _reporter(call), masker(values))
        try:
            request = guarded_request(call.request, operation.dialect, inspection)
        except ContentBlocked:
            # What is denied must not be in a record either.
            call.account.understood(replace(call.request, body=b"", fields={}))
            raise
        if request is not call.request:
            call.account.understood(request)
            call = replace(call, request=request)
        reply = yield from proceed(call)
        if not values:
            return reply
        return _guarded(reply, operation, Inspection((), _reporter(call), masker(None), values))


@dataclass(frozen=True, slots=True)
class ResponseGuards:
    """The guards of a rule that look at responses, in order."""

    guards: tuple[Guard, ...]

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call; a response that a guard denies becomes an error."""
        operation, guards = _held(self.guards, call)
        if operation is None:
            return (yield from proceed(call))
        # Records would be made of the provider's response, before the guards have seen it.
        call = replace(call, request=replace(call.request, keeps_content=False))
        reply = yield from proceed(call)
        return _guarded(reply, operation, Inspection(guards, _reporter(call), masker(None)))


def _held(guards: tuple[Guard, ...], call: Call) -> tuple[ServedOperation | None, list[Guard]]:
    """Return the operation and the guards that are for it; no operation if there is nothing."""
    operation = call.request.operation
    held = [guard for guard in guards if guard.holds(call.request)]
    if not held or not isinstance(operation, ServedOperation) or not operation.has_body:
        return None, []
    return operation, held


def _reporter(call: Call) -> Callable[[Guard, str], None]:
    def report(guard: Guard, entity: str) -> None:
        effect = _EFFECTS[guard.action]
        decision = f"shadow_{effect}" if guard.is_shadow else effect
        call.account.decided(Decision(guard.policy, guard.name, "guard", decision, entity))

    return report


def _guarded(reply: Reply, operation: ServedOperation, inspection: Inspection) -> Reply:
    dialect = operation.dialect
    try:
        if is_coded(reply.headers):
            raise ContentBlocked("the response is compressed in a way that guards cannot read")
        if not isinstance(reply.body, bytes):
            stream = GuardedStream(dialect.texts, inspection)
            return replace(reply, body=_body(reply.body, stream, dialect))
        body = guarded_response(reply.body, dialect, inspection)
    except ContentBlocked as error:
        # Not raised: how the provider did has been recorded, and it did well.
        return refusal(error, operation)
    if body is reply.body:
        return reply
    headers = [field for field in reply.headers if field[0] != b"content-length"]
    return replace(reply, headers=[*headers, (b"content-length", b"%d" % len(body))], body=body)


def _body(body: Body, stream: GuardedStream, dialect: Dialect) -> Body:
    """Pass on what the guards let pass; end the response if one denies it."""
    advance: Any = body.send
    value: Any = None
    try:
        while True:
            item = advance(value)
            advance, value = body.send, None
            if isinstance(item, bytes):
                item = stream.feed(item)
                if not item:
                    continue
            try:
                value = yield item
            except GeneratorExit:
                body.close()
                raise
            except BaseException as reason:  # for the response to deal with
                advance, value = body.throw, reason
    except StopIteration:
        pass
    except ContentBlocked as error:
        yield from _ended(body, error)
        yield dialect.error_event(error, position=stream.events)
        return
    try:
        last = stream.finish()
    except ContentBlocked as error:
        last = dialect.error_event(error, position=stream.events)
    if last:
        yield last


def _ended(body: Body, error: ContentBlocked) -> Body:
    """End a response early, whatever it still has to say."""
    advance: Any = body.throw
    value: Any = error
    try:
        while True:
            item = advance(value)
            advance, value = body.send, None
            if not isinstance(item, bytes):
                value = yield item
    except (StopIteration, ContentBlocked):
        pass
