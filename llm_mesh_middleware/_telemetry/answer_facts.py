"""How a call ended and what its answer says of itself, as attributes: never content."""

from __future__ import annotations

import msgspec

from .._core.values.summary import AnswerSummary
from .._core.values.usage import Usage
from ..exceptions import AnswerableError, ClientDisconnected, ServerShutdown
from . import semconv
from .request_facts import AttributeValue

__all__ = ["Ending", "tell_summary", "tell_usage"]

_MAX_TEXT = 256
_MAX_REASONS = 128


class Ending(msgspec.Struct, frozen=True):
    """The end of a call; `at` is on the performance counter.

    `error_type` is of low cardinality: a code of the mesh's own, or a status of the provider's.
    """

    at: float
    status: int | None
    error: BaseException | None
    usage: Usage | None
    error_type: str | None

    @classmethod
    def of(
        cls, at: float, status: int | None, error: BaseException | None, usage: Usage | None
    ) -> Ending:
        """The ending that an exchange tells of."""
        return cls(at, status, error, usage, _error_type(status, error))

    @property
    def is_failure(self) -> bool:
        """Whether the provider, or the mesh, is to blame: a client may leave when it likes."""
        return self.error_type is not None and not _is_abandoned(self.error)

    @property
    def outcome(self) -> str:
        """What became of a stream."""
        if self.error is None:
            return "complete"
        if _is_abandoned(self.error):
            return "client_disconnect"
        if isinstance(self.error, ServerShutdown):
            return "server_shutdown"
        is_timeout = isinstance(self.error, AnswerableError) and self.error.status == 504
        return "timeout" if is_timeout else "upstream_aborted"


def _error_type(status: int | None, error: BaseException | None) -> str | None:
    if error is None:
        return str(status) if status is not None and status >= 400 else None
    if _is_abandoned(error):
        return "client_disconnect"
    return error.code if isinstance(error, AnswerableError) else type(error).__qualname__


def _is_abandoned(error: BaseException | None) -> bool:
    # An exchange that is closed while it waits: whoever asked waits no longer.
    return isinstance(error, (ClientDisconnected, GeneratorExit))


def tell_usage(found: dict[str, AttributeValue], usage: Usage, *, has_output: bool) -> None:
    """Add the token counts to `found`; `has_output` is false for what generates nothing."""
    found[semconv.USAGE_INPUT] = usage.input_tokens
    if has_output:
        found[semconv.USAGE_OUTPUT] = usage.output_tokens
    if usage.cache_read_tokens:
        found[semconv.USAGE_CACHE_READ] = usage.cache_read_tokens
    if usage.cache_write_tokens:
        found[semconv.USAGE_CACHE_WRITE] = usage.cache_write_tokens
    if usage.reasoning_tokens:
        found[semconv.USAGE_REASONING] = usage.reasoning_tokens
    for kind, amount in usage.modalities:
        found[f"gen_ai.usage.{kind}"] = amount


def tell_summary(
    found: dict[str, AttributeValue], summary: AnswerSummary, *, is_whole: bool
) -> None:
    """Add what the answer calls itself; a choice that broke off has the finish reason `error`."""
    if summary.id is not None:
        found[semconv.RESPONSE_ID] = summary.id[:_MAX_TEXT]
    if summary.model is not None:
        found[semconv.RESPONSE_MODEL] = summary.model[:_MAX_TEXT]
    if summary.system_fingerprint is not None:
        found[semconv.OPENAI_FINGERPRINT] = summary.system_fingerprint[:_MAX_TEXT]
    if summary.service_tier is not None:
        found[semconv.OPENAI_RESPONSE_TIER] = summary.service_tier[:_MAX_TEXT]
    if summary.events:
        found[semconv.CHUNK_COUNT] = summary.events
    reasons = summary.finish_reasons[:_MAX_REASONS]
    if is_whole:  # a list is made sooner than what a generator yields
        told = [reason[:_MAX_TEXT] for reason in reasons if reason is not None]
    else:
        told = [reason[:_MAX_TEXT] if reason else "error" for reason in reasons or (None,)]
    if told:
        found[semconv.RESPONSE_FINISH_REASONS] = tuple(told)
