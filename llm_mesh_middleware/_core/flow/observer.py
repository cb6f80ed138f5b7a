"""The hooks that follow an exchange.

Hooks are plain calls on the request path: they must be fast and must not raise.
"""

from __future__ import annotations

from collections.abc import Callable

from ...exceptions import ClientDisconnected
from ..pricing.charge import Charge
from ..values.decision import Decision
from ..values.messages import ClientRequest, Failure, ResponseHead, UpstreamRequest
from ..values.selection import Selection
from ..values.summary import AnswerSummary, SummaryDetail
from ..values.usage import Usage
from .mirrors.outcome import MirrorOutcome

__all__ = ["Observation", "Observer", "end_by"]


class Observation:
    """Follows one exchange; the hooks of this class do nothing.

    `chunks` is called only if `wants_chunks` is true when the reply begins. The others are for the
    mesh's own observers: `detail` is how much of a whole response has to be read for it; with
    `counts_all`, `charged` is called for providers without prices, too. With `handles_failures`,
    its hooks raise nothing, and call `log_failure` with an exception, or in its handler.
    """

    wants_chunks = False
    detail: SummaryDetail = "facts"
    counts_all = False
    handles_failures = False
    log_failure: Callable[..., None]

    def understood(self, request: ClientRequest) -> None:
        """Handle the parsed request, with its operation and body; it replaces the earlier one."""

    def selected(self, selection: Selection) -> None:
        """Handle the selection of a rule."""

    def decided(self, decision: Decision) -> None:
        """Handle the decision of an item of a policy; called for each that applies."""

    def expired(self, decision: Decision, count: int) -> None:
        """Handle the expiry of `count` slots or reservations of money that were never released.

        Processes that have ended held them; this call has found them.
        """

    def settled(self, decision: Decision, reserved: int, used: int) -> None:
        """Handle the settlement of a token limit: the tokens reserved, and those used."""

    def sending(self, request: UpstreamRequest) -> UpstreamRequest | None:
        """Handle an attempt before it is sent; a returned request replaces this one."""
        return None

    def answered(self, attempt: int, answer: ResponseHead | Failure) -> None:
        """Handle the response head, or the failure, of the attempt with this number."""

    def replying(self, *, attempt: int, is_stream: bool) -> None:
        """Handle the choice of an attempt for the reply; a stream's first bytes have arrived."""

    def chunks(self, count: int) -> None:
        """Handle the next `count` chunks of a stream; the first come with its first bytes."""

    def charged(self, charge: Charge) -> None:
        """Handle the charge for an attempt at a provider with prices; called before `ended`.

        A failed attempt is charged too, if its response reports usage.
        """

    def mirroring(self, request: ClientRequest) -> Observation:
        """Return what follows a copy of the request, which is sent to a mirror."""
        return _NO_OBSERVATION

    def mirrored(self, outcome: MirrorOutcome) -> None:
        """Handle the outcome of a copy; also called after `ended`, and from another thread."""

    def summarised(self, summary: AnswerSummary) -> None:
        """Handle the facts of the response, just before `ended`."""

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        """Handle the end of the exchange; called exactly once.

        `status` is the client's, None if it got none. `error` is also set with status 200 if a
        stream broke off later, and is `ClientDisconnected` if the client stopped waiting.
        """


def end_by(error: BaseException, observation: Observation) -> None:
    """End the observation of an exchange that raises `error`."""
    if isinstance(error, GeneratorExit):  # the driver closes a flow only if the client has left
        error = ClientDisconnected("the client went away")
    observation.ended(getattr(error, "status", None), error, None)


_NO_OBSERVATION = Observation()

Observer = Callable[[ClientRequest], Observation]
