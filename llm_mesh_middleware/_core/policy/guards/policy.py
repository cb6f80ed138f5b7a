"""Two layers of guards: around everything else, and next to the attempts.

request    RequestGuards   deny > 403 in the client's dialect, nothing is sent
                           mask > limits, cache, provider and records see the placeholder
response   ResponseGuards  whole   deny > 403 instead of it
                           stream  deny > an error event; the rest is dropped, the call cancelled
                           mask > the cache and the client see the placeholder
           RequestGuards   placeholders of this request become its values again, last of all
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from ....exceptions import ContentBlocked
from ...dialect import ServedOperation
from ...flow.call import Call
from ...flow.reply import Flow
from ...guarding.events.stream import GuardedStream
from ...guarding.guard import Guard
from ...guarding.placeholders import Placeholders
from ...guarding.window import Inspection
from ...values.decision import ItemExplanation
from ...values.messages import ClientRequest
from ...values.steps import Step
from .bodies import (
    guarded_request,
    guarded_response,
    is_clear_request,
    is_clear_response,
    masker,
)
from .explaining import explain_guards
from .replies import guarded, held
from .reporting import reporter, with_effects

__all__ = [
    "RequestGuards",
    "ResponseGuards",
    "guarded_operation",
    "served",
    "unrecorded",
    "with_values",
]


class RequestGuards(msgspec.Struct, frozen=True):
    """The guards of a rule that check requests, in order."""

    guards: tuple[Guard, ...]

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call whose request the guards let pass.

        Raises:
            ContentBlocked: a guard denies it.
        """
        operation = served(call)
        guards = holding(self.guards, call.request)
        if operation is None or not guards:
            return (yield from proceed(call))
        if is_clear_request(call.request, operation.dialect, guards):
            return with_effects((yield from proceed(call)), call)
        values = Placeholders(call.request.body)
        inspection = Inspection(guards, reporter(call), masker(values))
        try:
            request = guarded_request(call.request, operation.dialect, inspection)
        except ContentBlocked:
            # What is denied must not be in a record either.
            call.account.understood(replace(call.request, body=b"", fields={}))
            raise
        if request is not call.request:
            call.account.understood(request)
            call = replace(call, request=request)
        return (yield from with_values(call, proceed, operation, values))

    def explain(
        self, request: ClientRequest, provider: str, now: float
    ) -> Iterator[ItemExplanation]:
        """Yield what each guard has to do with a request."""
        return explain_guards(self.guards, "request", request)

    def changed(self, request: ClientRequest) -> ClientRequest:
        """Return the request with its masks; the same one if it would be refused."""
        operation = served_by(request)
        guards = holding(self.guards, request)
        mask = masker(Placeholders(request.body))
        try:
            if operation is not None and guards:
                inspection = Inspection(guards, lambda *_: None, mask)
                return guarded_request(request, operation.dialect, inspection)
        except ContentBlocked:
            pass
        return request


class ResponseGuards(msgspec.Struct, frozen=True):
    """The guards of a rule that check responses, in order."""

    guards: tuple[Guard, ...]

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call; a response that a guard denies becomes an error."""
        operation = served(call)
        guards = holding(self.guards, call.request)
        if operation is None or not guards:
            return (yield from proceed(call))
        if call.request.keeps_content:
            call = unrecorded(call)
        inspection = Inspection(guards, reporter(call), masker(None))
        return (yield from with_reply(call, proceed, operation, inspection))

    def explain(
        self, request: ClientRequest, provider: str, now: float
    ) -> Iterator[ItemExplanation]:
        """Yield what each guard has to do with a request."""
        return explain_guards(self.guards, "response", request)


def holding(guards: tuple[Guard, ...], request: ClientRequest) -> Sequence[Guard]:
    """Return the guards that are for a request."""
    for guard in guards:
        if guard.when:
            return [guard for guard in guards if guard.holds(request)]
    return guards


class Holding(Protocol):
    """Any kind of guard."""

    def holds(self, request: ClientRequest) -> bool:
        """Return whether the guard looks at this request, or at its response."""


_Guard = TypeVar("_Guard", bound=Holding)


def guarded_operation(
    call: Call, guards: Sequence[_Guard]
) -> tuple[ServedOperation, list[_Guard]] | tuple[None, list[_Guard]]:
    """Return what a call asks for, None if nothing of it is to be guarded, and which guards do."""
    taking = [guard for guard in guards if guard.holds(call.request)]
    operation = served(call) if taking else None
    return (None, taking) if operation is None else (operation, taking)


def served(call: Call) -> ServedOperation | None:
    """Return the operation of a call, None if it has no texts."""
    return served_by(call.request)


def served_by(request: ClientRequest) -> ServedOperation | None:
    """Return the operation that a request names, None if it has no texts."""
    operation = request.operation
    if isinstance(operation, ServedOperation) and operation.method == "POST":
        return operation
    return None


def with_values(
    call: Call,
    proceed: Callable[[Call], Flow],
    operation: ServedOperation,
    values: Placeholders | None,
) -> Flow:
    """Serve a call, and put the values that were masked in its request back into the reply."""
    if not values:
        return with_effects((yield from proceed(call)), call)
    unmasked = Inspection((), reporter(call), masker(None), values)
    return (yield from with_reply(call, proceed, operation, unmasked))


def unrecorded(call: Call) -> Call:
    """Return the call without recording content, which the guards have not checked yet."""
    return replace(call, request=replace(call.request, keeps_content=False))


def with_reply(
    call: Call,
    proceed: Callable[[Call], Flow],
    operation: ServedOperation,
    inspection: Inspection,
) -> Flow:
    """Serve a call, and return its reply after an inspection."""
    dialect = operation.dialect

    def whole(body: bytes) -> Generator[Step, Any, bytes]:
        return guarded_response(body, dialect, inspection)
        yield  # makes this a generator

    reply = yield from held(call, proceed)
    body, guards = reply.body, inspection.guards
    if guards and inspection.values is None and isinstance(body, bytes):
        is_clear = is_clear_response(body, dialect, guards)
        if is_clear:
            call.account.release()
            return with_effects(reply, call)
    left = yield from guarded(
        reply,
        operation,
        call.account,
        whole=whole,
        stream=lambda: (GuardedStream(dialect.texts, inspection), None),
    )
    return with_effects(left, call)
