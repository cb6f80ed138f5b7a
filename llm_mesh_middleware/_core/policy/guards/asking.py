"""Guards that ask, as two layers: of requests around the cache, of responses within it.

texts ──> question ──> verdict   allowed > they pass; denied > 403; findings > the guard's action
                       none      onFailure: deny > 503 policy_unavailable, allow > they pass

A guard gets the texts after the guards before it: masked values are not sent.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from ....exceptions import PolicyUnavailable
from ...asking.side_call import Circumstances, NoAnswer
from ...dialect import Dialect, ServedOperation, TextPlace
from ...flow.call import Call
from ...flow.reply import Flow, Reply
from ...guarding.asking.answered import Answered
from ...guarding.asking.stream import AskedStream
from ...guarding.asking.verdict import (
    ALLOWED,
    AskingGuard,
    Question,
    Verdict,
)
from ...guarding.guard import blocked
from ...guarding.json_text import plain_text
from ...guarding.placeholders import Placeholders
from ...guarding.window import Inspection, inspect
from ...values.decision import ItemExplanation
from ...values.messages import ClientRequest
from ...values.steps import Beside, Step
from .bodies import OpenedRequest, OpenedResponse, masker
from .explaining import explain_guards
from .policy import meant, served, unrecorded, with_values
from .replies import Refusals, guarded
from .reporting import decision_of, reporter, with_effects

__all__ = ["AskingRequestGuards", "AskingResponseGuards", "asked", "heard"]


class AskingRequestGuards(msgspec.Struct, frozen=True):
    """The guards of a rule that ask about requests, in order."""

    guards: tuple[AskingGuard, ...]

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call whose request passes.

        Raises:
            ContentBlocked: a guard denies it.
            PolicyUnavailable: there is no verdict, and the guard requires one.
        """
        operation, values = served(call), Placeholders(call.request.body)
        if operation is None:
            return (yield from proceed(call))
        for asking in self.guards:
            if asking.holds(call.request):
                call = yield from _asked_request(asking, call, operation.dialect, values)
        return (yield from with_values(call, proceed, operation, values))

    def explain(
        self, request: ClientRequest, provider: str, now: float
    ) -> Iterator[ItemExplanation]:
        """Yield what each guard has to do with a request."""
        return explain_guards(self.guards, "request", request)


class AskingResponseGuards(msgspec.Struct, frozen=True):
    """The guards of a rule that ask about responses, in order."""

    guards: tuple[AskingGuard, ...]

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call; a response that a guard denies becomes an error."""
        operation, guards = meant(call, self.guards)
        if operation is None:
            return (yield from proceed(call))
        call = unrecorded(call)
        call.account.hold()
        try:
            reply = yield from proceed(call)
            for asking in guards:
                if reply.status >= 400:
                    break  # an error of the provider, or of a guard before this one
                call.account.hold()
                reply = yield from _asked_reply(asking, call, operation, reply)
        finally:
            call.account.release()
        return with_effects(reply, call)

    def explain(
        self, request: ClientRequest, provider: str, now: float
    ) -> Iterator[ItemExplanation]:
        """Yield what each guard has to do with a request."""
        return explain_guards(self.guards, "response", request)


def _asked_request(
    asking: AskingGuard, call: Call, dialect: Dialect, values: Placeholders
) -> Generator[Step, Any, Call]:
    """Return the call as the guard lets it pass."""
    opened = OpenedRequest(call.request, dialect, asking.guard.roles)
    mask = masker(values)
    try:
        texts = yield from _left(asking, call, "request", opened.places, mask)
    except Refusals:
        # What is denied must not be in a record either.
        call.account.understood(replace(call.request, body=b"", fields={}))
        raise
    request = opened.with_texts(texts)
    if request is call.request:
        return call
    call.account.understood(request)
    return replace(call, request=request)


def _asked_reply(asking: AskingGuard, call: Call, operation: ServedOperation, reply: Reply) -> Flow:
    dialect = operation.dialect

    def whole(body: bytes) -> Generator[Step, Any, bytes]:
        opened = OpenedResponse(body, dialect)
        texts = yield from _left(asking, call, "response", opened.places, masker(None))
        return opened.with_texts(texts)

    def stream() -> tuple[AskedStream, Callable[[], Generator[Step, Any, bytes]]]:
        inspection = Inspection((), reporter(call), masker(None))
        passing = AskedStream(dialect.texts, inspection, asking)

        def asks() -> Generator[Step, Any, bytes]:
            passed = b""
            while held := passing.question():
                texts = list(dict.fromkeys(each.undecided for each in held))
                verdict = yield from _verdict(asking, call, "response", texts)
                passed += passing.answer(held, verdict, texts)
            return passed

        return passing, asks

    return guarded(reply, operation, call.account, whole=whole, stream=stream)


def _left(
    asking: AskingGuard, call: Call, side: str, places: Sequence[TextPlace], mask: Any
) -> Generator[Step, Any, list[str]]:
    """Return whole texts after the guard."""
    texts = [place.text for place in places]
    plain = [plain_text(place.text) if place.is_json else place.text for place in places]
    verdict = yield from _verdict(asking, call, side, plain)
    # From here on a finding is treated as if a recogniser had made it.
    for number, findings in verdict.findings.items():
        place = places[number]
        answered = Answered(findings, size=len(plain[number]))
        guard = replace(asking.guard, scanner=answered)
        inspection = Inspection((guard,), reporter(call), mask)
        texts[number] = inspect(place.text, inspection, is_json=place.is_json)
    return texts


def _verdict(
    asking: AskingGuard, call: Call, side: str, texts: Sequence[str]
) -> Generator[Step, Any, Verdict]:
    """Return the inspector's verdict; a denial of all texts has no findings.

    Raises:
        ContentBlocked: the texts are denied.
        PolicyUnavailable: there is no verdict, and the guard requires one.
    """
    if not texts:
        return ALLOWED
    return heard(asking, call, (yield Beside(asked(asking, call, side, texts))))


def asked(
    asking: AskingGuard, call: Call, side: str, texts: Sequence[str]
) -> Generator[Step, Any, Verdict | NoAnswer]:
    """Return the inspector's verdict on texts, within its timeout."""
    guard = asking.guard
    sent = [text.encode("utf-8", "replace").decode() for text in texts]
    question = Question(guard.policy, guard.name, side, call.request.model, sent)
    # The request's own deadline may be sooner.
    about = Circumstances(
        call.deadline.or_sooner(call.clock(), "request", asking.timeout_s),
        call.request.headers,
        call.mesh_id,
        call.wall_clock,
        call.account.charged,
    )
    try:
        return (yield from asking.inspector.ask(question, about))
    except NoAnswer as none:
        return none


def heard(asking: AskingGuard, call: Call, verdict: Verdict | NoAnswer) -> Verdict:
    """Report a verdict to observers and return it; without one, do as `onFailure` says.

    Raises:
        ContentBlocked: the texts are denied.
        PolicyUnavailable: there is no verdict, and the guard requires one.
    """
    guard, report = asking.guard, reporter(call)
    if isinstance(verdict, NoAnswer):
        call.account.decided(decision_of(guard, "unchecked", verdict.cause))
        if asking.is_open or guard.is_shadow:
            return ALLOWED
        raise PolicyUnavailable(f"the guard {guard.name!r} cannot be asked now; try again later")
    if verdict.denied_as:
        report(guard, verdict.denied_as)
        if guard.effect != "log":
            raise blocked(guard)
    elif not verdict.findings:
        call.account.decided(decision_of(guard, "allowed"))
    return verdict
