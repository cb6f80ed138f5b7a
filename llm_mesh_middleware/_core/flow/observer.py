"""What the mesh tells about an exchange while it happens.

The hooks are plain calls in the request's path: an implementation must be quick and must not raise.
"""

from __future__ import annotations

from collections.abc import Callable

from ..values.decision import Decision
from ..values.messages import ClientRequest, Failure, ResponseHead, UpstreamRequest
from ..values.selection import Selection
from ..values.summary import AnswerSummary
from ..values.usage import Usage

__all__ = ["Observation", "Observer"]


class Observation:
    """One exchange as an observer follows it; every hook does nothing here.

    `chunks` is called only where `wants_chunks` says so when the reply begins: most want nothing
    done for each of them.
    """

    wants_chunks = False

    def understood(self, request: ClientRequest) -> None:
        """The request's operation and body are known; `request` replaces the first one."""

    def selected(self, selection: Selection) -> None:
        """Routing has chosen a rule."""

    def decided(self, decision: Decision) -> None:
        """An item of a policy has decided; called for each that applies to the request."""

    def settled(self, decision: Decision, reserved: int, used: int) -> None:
        """A limit of tokens has been settled: what was reserved, and what was used."""

    def sending(self, request: UpstreamRequest) -> UpstreamRequest | None:
        """An attempt is about to be made; a returned request takes the place of this one."""
        return None

    def answered(self, attempt: int, answer: ResponseHead | Failure) -> None:
        """The attempt of that number brought an answer's head, or failed."""

    def replying(self, *, attempt: int, is_stream: bool) -> None:
        """An attempt's answer is the client's; of a stream the first bytes are there."""

    def chunks(self, count: int) -> None:
        """So many more chunks of a stream are there, the first of them with its first bytes."""

    def summarised(self, summary: AnswerSummary) -> None:
        """What the answer said of itself; told just before `ended`."""

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        """The exchange is over; called exactly once.

        `status` is the one the client got, None if it got none. `error` is what went wrong: also
        set beside a status 200 when a stream broke off later, and `ClientDisconnected` if whoever
        asked stopped waiting.
        """


Observer = Callable[[ClientRequest], Observation]
