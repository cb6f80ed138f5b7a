"""Remote guards as two layers: of requests around the cache, of responses within it.

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
from ...dialect import Dialect, ServedOperation, TextPlace
from ...flow.call import Call
from ...flow.reply import Flow, Reply
from ...guarding.guard import blocked
from ...guarding.json_text import plain_text
from ...guarding.placeholders import Placeholders
from ...guarding.remote.stream import RemoteGuardStream
from ...guarding.remote.verdict import (
    ALLOWED,
    Question,
    RemoteGuard,
    Verdict,
)
from ...guarding.remote.verdict_findings import VerdictFindings
from ...guarding.window import Inspection, inspect
from ...side_calls.side_call import SideCallFailed
from ...values.decision import ItemExplanation
from ...values.messages import ClientRequest
from ...values.steps import Nested, Step
from .bodies import OpenedRequest, OpenedResponse, masker
from .explaining import explain_guards
from .policy import guarded_operation, served, unrecorded, with_values
from .replies import Refusals, guarded
from .reporting import decision_of, reporter, with_effects

__all__ = ["RemoteRequestGuards", "RemoteResponseGuards", "request_verdict", "accept_verdict"]


class RemoteRequestGuards(msgspec.Struct, frozen=True):
    """The remote guards of a rule for requests, in order."""

    guards: tuple[RemoteGuard, ...]

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call whose request passes.

        Raises:
            ContentBlocked: a guard denies it.
            PolicyUnavailable: there is no verdict, and the guard requires one.
        """
        operation, values = served(call), Placeholders(call.request.body)
        if operation is None:
            return (yield from proceed(call))
        for remote in self.guards:
            if remote.holds(call.request):
                call = yield from _checked_request(remote, call, operation.dialect, values)
        return (yield from with_values(call, proceed, operation, values))

    def explain(
        self, request: ClientRequest, provider: str, now: float
    ) -> Iterator[ItemExplanation]:
        """Yield what each guard has to do with a request."""
        return explain_guards(self.guards, "request", request)


class RemoteResponseGuards(msgspec.Struct, frozen=True):
    """The remote guards of a rule for responses, in order."""

    guards: tuple[RemoteGuard, ...]

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call; a response that a guard denies becomes an error."""
        operation, guards = guarded_operation(call, self.guards)
        if operation is None:
            return (yield from proceed(call))
        call = unrecorded(call)
        call.account.hold()
        try:
            reply = yield from proceed(call)
            for remote in guards:
                if reply.status >= 400:
                    break  # an error of the provider, or of a guard before this one
                call.account.hold()
                reply = yield from _checked_reply(remote, call, operation, reply)
        finally:
            call.account.release()
        return with_effects(reply, call)

    def explain(
        self, request: ClientRequest, provider: str, now: float
    ) -> Iterator[ItemExplanation]:
        """Yield what each guard has to do with a request."""
        return explain_guards(self.guards, "response", request)


def _checked_request(
    remote: RemoteGuard, call: Call, dialect: Dialect, values: Placeholders
) -> Generator[Step, Any, Call]:
    """Return the call as the guard lets it pass."""
    opened = OpenedRequest(call.request, dialect, remote.guard.roles)
    mask = masker(values)
    try:
        texts = yield from _checked_texts(remote, call, "request", opened.places, mask)
    except Refusals:
        # What is denied must not be in a record either.
        call.account.understood(replace(call.request, body=b"", fields={}))
        raise
    request = opened.with_texts(texts)
    if request is call.request:
        return call
    call.account.understood(request)
    return replace(call, request=request)


def _checked_reply(
    remote: RemoteGuard, call: Call, operation: ServedOperation, reply: Reply
) -> Flow:
    dialect = operation.dialect

    def whole(body: bytes) -> Generator[Step, Any, bytes]:
        opened = OpenedResponse(body, dialect)
        texts = yield from _checked_texts(remote, call, "response", opened.places, masker(None))
        return opened.with_texts(texts)

    def stream() -> tuple[RemoteGuardStream, Callable[[], Generator[Step, Any, bytes]]]:
        inspection = Inspection((), reporter(call), masker(None))
        passing = RemoteGuardStream(dialect.texts, inspection, remote)

        def ask_verdict() -> Generator[Step, Any, bytes]:
            passed = b""
            while held := passing.question():
                texts = list(dict.fromkeys(each.undecided for each in held))
                verdict = yield from _verdict(remote, call, "response", texts)
                passed += passing.answer(held, verdict, texts)
            return passed

        return passing, ask_verdict

    return guarded(reply, operation, call.account, whole=whole, stream=stream)


def _checked_texts(
    remote: RemoteGuard, call: Call, side: str, places: Sequence[TextPlace], mask: Any
) -> Generator[Step, Any, list[str]]:
    """Return whole texts, masked by the guard."""
    texts = [place.text for place in places]
    plain = [plain_text(place.text) if place.is_json else place.text for place in places]
    verdict = yield from _verdict(remote, call, side, plain)
    # From here on a finding is treated as if a recogniser had made it.
    for number, findings in verdict.findings.items():
        place = places[number]
        answered = VerdictFindings(findings, size=len(plain[number]))
        guard = replace(remote.guard, scanner=answered)
        inspection = Inspection((guard,), reporter(call), mask)
        texts[number] = inspect(place.text, inspection, is_json=place.is_json)
    return texts


def _verdict(
    remote: RemoteGuard, call: Call, side: str, texts: Sequence[str]
) -> Generator[Step, Any, Verdict]:
    """Return the inspector's verdict; a denial of all texts has no findings.

    Raises:
        ContentBlocked: the texts are denied.
        PolicyUnavailable: there is no verdict, and the guard requires one.
    """
    if not texts:
        return ALLOWED
    return accept_verdict(remote, call, (yield Nested(request_verdict(remote, call, side, texts))))


def request_verdict(
    remote: RemoteGuard, call: Call, side: str, texts: Sequence[str]
) -> Generator[Step, Any, Verdict | SideCallFailed]:
    """Return the inspector's verdict on texts, within its timeout."""
    guard = remote.guard
    sent = [text.encode("utf-8", "replace").decode() for text in texts]
    question = Question(guard.policy, guard.name, side, call.request.model, sent)
    # The request's own deadline may be sooner.
    context = call.side_context(remote.timeout_s)
    try:
        return (yield from remote.inspector.ask(question, context))
    except SideCallFailed as none:
        return none


def accept_verdict(remote: RemoteGuard, call: Call, verdict: Verdict | SideCallFailed) -> Verdict:
    """Report a verdict to observers and return it; without one, apply `onFailure`.

    Raises:
        ContentBlocked: the texts are denied.
        PolicyUnavailable: there is no verdict, and the guard requires one.
    """
    guard, report = remote.guard, reporter(call)
    if isinstance(verdict, SideCallFailed):
        call.account.decided(decision_of(guard, "unchecked", verdict.cause))
        if remote.is_open or guard.is_shadow:
            return ALLOWED
        raise PolicyUnavailable(f"the guard {guard.name!r} cannot be asked now; try again later")
    if verdict.denied_as:
        report(guard, verdict.denied_as)
        if guard.effect != "log":
            raise blocked(guard)
    elif not verdict.findings:
        call.account.decided(decision_of(guard, "allowed"))
    return verdict
