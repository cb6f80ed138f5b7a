"""The state of a call so far."""

from __future__ import annotations

from .._core.pricing.charge import Charge, add_up
from .._core.values.decision import Decision
from .._core.values.messages import ClientRequest, Failure, ResponseHead, UpstreamRequest
from .._core.values.operations import Operation
from .._core.values.selection import Selection
from .._core.values.summary import AnswerSummary

__all__ = ["CallProgress", "operation_name"]

_OTHER = "_other"


class CallProgress:
    """What the hooks of one call keep for each other.

    Times are on the performance counter. `first` and `last` are requests to upstreams; once an
    attempt is served, `last` is that one. `heads` are those of responses with an id of the request,
    by the attempt. It is no struct: its fields are set often, which takes longer there.
    """

    __slots__ = (
        "attempts",
        "charges",
        "decisions",
        "first",
        "first_chunk_at",
        "heads",
        "is_stream",
        "last",
        "request",
        "selection",
        "sent_at",
        "started_at",
        "summary",
    )

    def __init__(
        self,
        request: ClientRequest,
        started_at: float,
        selection: Selection | None = None,
        first: UpstreamRequest | None = None,
    ) -> None:
        """`first` is the only attempt, if there was one already."""
        self.request = request
        self.started_at = started_at
        self.selection = selection
        self.first = self.last = first
        self.sent_at: float | None = None
        self.first_chunk_at: float | None = None
        self.is_stream = False
        self.summary: AnswerSummary | None = None
        self.attempts = 0 if first is None else 1
        self.charges: tuple[Charge, ...] = ()
        self.decisions: tuple[Decision, ...] = ()
        self.heads: dict[int, ResponseHead] = {}

    @property
    def operation(self) -> str:
        """The name of the operation in the conventions."""
        return operation_name(self.request.operation)

    @property
    def upstream_request_id(self) -> str | None:
        """The provider's own id of the last attempt."""
        head = None if self.last is None else self.heads.get(self.last.attempt)
        return None if head is None else head.headers.get("x-request-id")

    def answered(self, request: UpstreamRequest, answer: ResponseHead | Failure) -> None:
        """Keep what is needed of a response head."""
        self.last = request
        if answer.__class__ is not Failure and b"x-request-id" in answer.headers.by_name:  # type: ignore[union-attr]
            self.heads[request.attempt] = answer  # type: ignore[assignment]

    @property
    def route(self) -> str | None:
        """The name of the route, once there is one."""
        return self.selection.route if self.selection is not None else None

    @property
    def cost(self) -> tuple[str, int] | None:
        """The currency and the nano-units of the whole call, or None.

        If attempts were billed in several currencies, it is the last one's.
        """
        return next(reversed(add_up(self.charges).items()), None)

    @property
    def first_chunk_s(self) -> float | None:
        """The time from the first attempt to the first chunk of the stream."""
        if self.first_chunk_at is None or self.sent_at is None:
            return None
        return self.first_chunk_at - self.sent_at


def operation_name(operation: Operation | None) -> str:
    """Return the name of an operation in the conventions."""
    return _OTHER if operation is None else operation.name
