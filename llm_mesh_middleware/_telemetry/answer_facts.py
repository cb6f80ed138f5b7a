"""How a call ended and what its answer says of itself, as attributes: never content."""

from __future__ import annotations

import msgspec

from .._core.summary import AnswerSummary
from .._core.usage import Usage
from ..exceptions import AnswerableError, ClientDisconnected
from . import semconv
from .request_facts import AttributeValue

__all__ = ["Ending", "summary_attributes", "usage_attributes"]

_MAX_TEXT = 256
_MAX_REASONS = 128


class Ending(msgspec.Struct, frozen=True):
    """The end of a call; `at` is on the performance counter."""

    at: float
    status: int | None
    error: BaseException | None
    usage: Usage | None

    @property
    def error_type(self) -> str | None:
        """Of low cardinality: a code of the mesh's own, or a status of the provider's."""
        if self._is_abandoned:
            return "client_disconnect"
        if isinstance(self.error, AnswerableError):
            return self.error.code
        if self.error is not None:
            return type(self.error).__qualname__
        return str(self.status) if self.status is not None and self.status >= 400 else None

    @property
    def is_failure(self) -> bool:
        """Whether the provider, or the mesh, is to blame: a client may leave when it likes."""
        return self.error_type is not None and not self._is_abandoned

    @property
    def outcome(self) -> str:
        """What became of a stream."""
        if self.error is None:
            return "complete"
        if self._is_abandoned:
            return "client_disconnect"
        is_timeout = isinstance(self.error, AnswerableError) and self.error.status == 504
        return "timeout" if is_timeout else "upstream_aborted"

    @property
    def _is_abandoned(self) -> bool:
        # An exchange that is closed while it waits: whoever asked waits no longer.
        return isinstance(self.error, ClientDisconnected | GeneratorExit)


def usage_attributes(usage: Usage | None, *, has_output: bool = True) -> dict[str, AttributeValue]:
    """The token counts; `has_output` is false for what generates nothing."""
    if usage is None:
        return {}
    found: dict[str, AttributeValue] = {semconv.USAGE_INPUT: usage.input_tokens}
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
    return found


def summary_attributes(summary: AnswerSummary, *, is_whole: bool) -> dict[str, AttributeValue]:
    """What the answer calls itself. A choice that broke off has the finish reason `error`."""
    texts = {
        semconv.RESPONSE_ID: summary.id,
        semconv.RESPONSE_MODEL: summary.model,
        semconv.OPENAI_FINGERPRINT: summary.system_fingerprint,
        semconv.OPENAI_RESPONSE_TIER: summary.service_tier,
    }
    found: dict[str, AttributeValue] = {
        name: text[:_MAX_TEXT] for name, text in texts.items() if text is not None
    }
    if summary.events:
        found[semconv.CHUNK_COUNT] = summary.events
    reasons = summary.finish_reasons[:_MAX_REASONS]
    if is_whole:
        told = tuple(reason[:_MAX_TEXT] for reason in reasons if reason is not None)
    else:
        told = tuple(reason[:_MAX_TEXT] if reason else "error" for reason in reasons or (None,))
    if told:
        found[semconv.RESPONSE_FINISH_REASONS] = told
    return found
