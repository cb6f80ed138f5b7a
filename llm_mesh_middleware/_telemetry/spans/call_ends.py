"""The ways in which calls of one kind end, and the attributes and metrics that follow from each."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .. import semconv
from ..ending import Ending
from ..metrics.ledger import Account
from ..metrics.tallies import Labels
from ..progress import CallProgress
from .request_attributes import AttributeValue
from .response_attributes import add_facts

__all__ = ["CallEnd", "known_attributes"]


class CallEnd(msgspec.Struct, frozen=True):
    """A way to end; `attributes` must not be changed, `account` is that of the metrics.

    `fallback` are the labels of a fallback, None without one. `dropped` are the names of fields.
    """

    attributes: Mapping[str, AttributeValue]
    account: Account
    fallback: Labels | None
    dropped: tuple[str, ...]

    @classmethod
    def of(cls, progress: CallProgress, ending: Ending, account: Account) -> CallEnd:
        """Return how a call has ended."""
        last, fallback = progress.last, None
        if last is not None and (host := last.endpoint.provider_host) != last.preferred_host:
            fallback = (semconv.FALLBACK_FROM, last.preferred_host), (semconv.FALLBACK_TO, host)
        return cls(known_attributes(progress, ending), account, fallback, _dropped(progress))


def known_attributes(progress: CallProgress, ending: Ending) -> dict[str, AttributeValue]:
    """Return the attributes that a call has in common with others that end like it."""
    last, summary, dropped = progress.last, progress.summary, _dropped(progress)
    found: dict[str, AttributeValue] = {
        semconv.ATTEMPT_COUNT: progress.attempts,
        semconv.USAGE_SOURCE: "none" if ending.usage is None else "provider",
    }
    if last is not None:
        if last.endpoint.provider_host != last.preferred_host:
            found[semconv.IS_FALLBACK] = True
        if last.added_usage:
            found[semconv.USAGE_INJECTED] = True
    if dropped:
        found[semconv.DROPPED] = dropped
    if ending.status is not None:
        found[semconv.HTTP_STATUS] = ending.status
    if ending.error_type is not None:
        found[semconv.ERROR_TYPE] = ending.error_type
    if progress.is_stream:
        found[semconv.STREAM_OUTCOME] = ending.outcome
    if summary is not None:
        add_facts(found, summary, is_whole=ending.error is None)
    return found


def _dropped(progress: CallProgress) -> tuple[str, ...]:
    """Return the names of fields that were dropped from the request, or from the response."""
    last, summary = progress.last, progress.summary
    if last is None:
        return ()
    return last.dropped if summary is None else last.dropped + summary.dropped
