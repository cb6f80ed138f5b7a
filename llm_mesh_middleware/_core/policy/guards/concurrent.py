"""Guards that check a request during its call.

request ──> question ───────────────> verdict
        └─> attempts ──> response ─────┴─> allowed > passed on; denied > dropped, 403

The call is made before the verdict, but its response is held back until then. The layer is inside
the cache: cached responses have been checked.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from ....exceptions import AnswerableError
from ...asking.side_call import NoAnswer
from ...flow.call import Call
from ...flow.reply import Flow, refusal
from ...guarding.asking.verdict import AskingGuard, Verdict
from ...guarding.guard import blocked
from ...guarding.json_text import plain_text
from ...values.decision import ItemExplanation
from ...values.messages import ClientRequest, Deadline
from ...values.steps import Await, Beside, Spawn, Step, Steps
from .asking import asked, heard
from .bodies import OpenedRequest
from .explaining import explain_guards
from .policy import meant
from .replies import Refusals, dropped
from .reporting import reporter, with_effects

__all__ = ["ConcurrentRequestGuards"]


class ConcurrentRequestGuards(msgspec.Struct, frozen=True):
    """The guards of a rule that are asked about requests during the call."""

    guards: tuple[AskingGuard, ...]

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call; a request that a guard denies is refused after its response."""
        operation, guards = meant(call, self.guards)
        if operation is None:
            return (yield from proceed(call))
        pending: list[_Pending] = []
        for asking in guards:
            opened = OpenedRequest(call.request, operation.dialect, asking.guard.roles)
            texts = [plain_text(at.text) if at.is_json else at.text for at in opened.places]
            if texts:
                pending.append(_Pending(asking, call, texts))
                yield Spawn(pending[-1].ask())
        call.account.hold()
        error: AnswerableError | None = None
        try:
            reply = yield from proceed(call)
            try:
                for each in pending:
                    yield from each.verdict()
            except Refusals as refused:
                error = refused
                # What is denied must not be in a record either.
                call.account.understood(replace(call.request, body=b"", fields={}))
                yield from dropped(reply, refused)
                reply = refusal(refused, operation)
        finally:
            call.account.release(error, status=None if error is None else error.status)
        return with_effects(reply, call)

    def explain(
        self, request: ClientRequest, provider: str, now: float
    ) -> Iterator[ItemExplanation]:
        """Yield what each guard has to do with a request."""
        return explain_guards(self.guards, "request", request)


class _Pending:
    """A question under way, for the flow that waits for its verdict.

    They may be in different threads; both change only the list of callbacks to wake.
    """

    def __init__(self, asking: AskingGuard, call: Call, texts: Sequence[str]) -> None:
        self._asking = asking
        self._call = call
        self._texts = texts
        self._said: Verdict | NoAnswer | None = None
        self._has_ended = False
        self._wakes: list[Callable[[], None]] = []

    def ask(self) -> Steps:
        """Ask, and wake the flow that waits, even if the question was never sent."""
        try:
            self._said = yield from asked(self._asking, self._call, "request", self._texts)
        finally:
            self._has_ended = True
            for wake in tuple(self._wakes):
                wake()

    def verdict(self) -> Generator[Step, Any, None]:
        """Wait for the verdict, and do what the guard says.

        Raises:
            ContentBlocked: the request is denied.
            PolicyUnavailable: there is no verdict.
        """
        asking, call = self._asking, self._call
        if not self._has_ended:
            now = call.clock()
            limit = call.deadline.or_sooner(now, "request", asking.timeout_s)
            yield Beside(_waiting(self._on_end, limit))
        said = self._said
        if said is None:  # the background was full: ask now
            said = NoAnswer("timeout")
            if self._has_ended:
                said = yield Beside(asked(asking, call, "request", self._texts))
        found = heard(asking, call, said).findings
        report = reporter(call)
        for each in (each for findings in found.values() for each in findings):
            report(asking.guard, each.entity)
            if asking.guard.effect == "deny":
                raise blocked(asking.guard)

    def _on_end(self, wake: Callable[[], None]) -> None:
        self._wakes.append(wake)
        if self._has_ended:
            wake()


def _waiting(signal: Callable[[Callable[[], None]], None], until: Deadline) -> Steps:
    """Wait in a separate flow, so that the response of the call stays open."""
    yield Await(signal, until)
