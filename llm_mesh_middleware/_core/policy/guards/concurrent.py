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
from ...flow.call import Call
from ...flow.reply import Flow, refusal
from ...guarding.guard import blocked
from ...guarding.json_text import plain_text
from ...guarding.remote.verdict import RemoteGuard, Verdict
from ...side_calls.side_call import SideCallFailed
from ...values.decision import ItemExplanation
from ...values.messages import ClientRequest, Deadline
from ...values.steps import Await, Nested, Spawn, Step, Steps
from .bodies import OpenedRequest
from .explaining import explain_guards
from .policy import guarded_operation
from .remote import accept_verdict, request_verdict
from .replies import Refusals, dropped
from .reporting import reporter, with_effects

__all__ = ["ConcurrentRequestGuards"]


class ConcurrentRequestGuards(msgspec.Struct, frozen=True):
    """The remote guards of a rule that check requests during the call."""

    guards: tuple[RemoteGuard, ...]

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call; a request that a guard denies is refused after its response."""
        operation, guards = guarded_operation(call, self.guards)
        if operation is None:
            return (yield from proceed(call))
        pending: list[_Pending] = []
        for remote in guards:
            opened = OpenedRequest(call.request, operation.dialect, remote.guard.roles)
            texts = [plain_text(at.text) if at.is_json else at.text for at in opened.places]
            if texts:
                pending.append(_Pending(remote, call, texts))
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

    def __init__(self, remote: RemoteGuard, call: Call, texts: Sequence[str]) -> None:
        self._remote = remote
        self._call = call
        self._texts = texts
        self._result: Verdict | SideCallFailed | None = None
        self._has_ended = False
        self._wakes: list[Callable[[], None]] = []

    def ask(self) -> Steps:
        """Get the verdict, and wake the waiting flow, even if no question was sent."""
        try:
            self._result = yield from request_verdict(
                self._remote, self._call, "request", self._texts
            )
        finally:
            self._has_ended = True
            for wake in tuple(self._wakes):
                wake()

    def verdict(self) -> Generator[Step, Any, None]:
        """Wait for the verdict, and apply the guard.

        Raises:
            ContentBlocked: the request is denied.
            PolicyUnavailable: there is no verdict.
        """
        remote, call = self._remote, self._call
        if not self._has_ended:
            now = call.clock()
            limit = call.deadline.or_sooner(now, "request", remote.timeout_s)
            yield Nested(_waiting(self._on_end, limit))
        result = self._result
        if result is None:  # the background was full: ask now
            result = SideCallFailed("timeout")
            if self._has_ended:
                result = yield Nested(request_verdict(remote, call, "request", self._texts))
        found = accept_verdict(remote, call, result).findings
        report = reporter(call)
        for each in (each for findings in found.values() for each in findings):
            report(remote.guard, each.entity)
            if remote.guard.effect == "deny":
                raise blocked(remote.guard)

    def _on_end(self, wake: Callable[[], None]) -> None:
        self._wakes.append(wake)
        if self._has_ended:
            wake()


def _waiting(signal: Callable[[Callable[[], None]], None], until: Deadline) -> Steps:
    """Wait in a separate flow, so that the response of the call stays open."""
    yield Await(signal, until)
