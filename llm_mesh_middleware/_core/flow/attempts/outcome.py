"""The outcome of an attempt."""

from __future__ import annotations

import msgspec

from ....exceptions import (
    CredentialUnavailable,
    RequestNotSent,
    ResponseTooLarge,
    UpstreamConnectError,
    UpstreamError,
    UpstreamTimeout,
)
from ...dialect import BodyRelay
from ...provider.outliers import Result
from ...routing.retry_policy import Verdict
from ...values.summary import AnswerSummary
from ...values.usage import Usage

__all__ = ["Outcome", "may_follow"]

# A module's name is looked up faster than a member of an enum.
_ANYWHERE = Verdict.ANYWHERE
# Errors that say nothing about the provider and would recur at any other.
_OUR_REFUSALS = (RequestNotSent, ResponseTooLarge)


class Outcome(msgspec.Struct, frozen=True):
    """The result of an attempt: a response, ready for the client, or an error.

    `reasons` are the code and the type of a provider's error object. A stream's `relay` has
    consumed the first bytes and converted them to `body`. `may_follow` limits what can follow.
    `is_disguised`: it is an error with status 200. `is_rejected_addition`: it is an error that
    rejects the mesh's additions. `provider_status` is the provider's where the client's dialect has
    another. `counted` are the token counts if nothing else was read.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    relay: BodyRelay | None = None
    summary: AnswerSummary | None = None
    error: UpstreamError | None = None
    reasons: frozenset[str] = frozenset()
    retry_after_s: float | None = None
    may_follow: Verdict = _ANYWHERE
    is_disguised: bool = False
    is_rejected_addition: bool = False
    provider_status: int | None = None
    counted: Usage | None = None

    @property
    def is_good(self) -> bool:
        """Whether it is a response without an error, the common case."""
        return self.error is None and self.status < 400 and self.may_follow is _ANYWHERE

    @property
    def result(self) -> Result:
        """The result for the provider's health, in which a rejected request is not a failure."""
        if self.status == 429:
            return "rate_limited"
        if _is_unreachable(self.error):
            return "unreachable"
        if isinstance(self.error, (*_OUR_REFUSALS, CredentialUnavailable)):
            return "cancelled"
        return "failure" if self.error is not None or self.status >= 500 else "success"

    @property
    def cause(self) -> str:
        """The cause of a failure, for logs."""
        return f"answered {self.status}" if self.error is None else self.error.message


def may_follow(error: UpstreamError) -> Verdict:
    """Return where another attempt may be made after an error."""
    if isinstance(error, _OUR_REFUSALS):
        return Verdict.FINAL
    return Verdict.ELSEWHERE if isinstance(error, CredentialUnavailable) else Verdict.ANYWHERE


def _is_unreachable(error: UpstreamError | None) -> bool:
    if isinstance(error, UpstreamConnectError):
        return not error.has_connected
    return isinstance(error, UpstreamTimeout) and error.phase == "connect"
