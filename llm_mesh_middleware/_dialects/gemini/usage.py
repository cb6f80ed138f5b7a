"""Token counts as the Gemini API reports them."""

from __future__ import annotations

from typing import Any

import msgspec

from ..._core.values.usage import Usage
from ..lenient import Count

__all__ = ["GeminiUsage", "write_usage"]


# The direction of counts by modality -> the member with them.
_DETAILS = {
    "input_tokens": "promptTokensDetails",
    "output_tokens": "candidatesTokensDetails",
    "cache_read.input_tokens": "cacheTokensDetails",
}
# The modalities in the terms of other dialects; texts alone are not worth a word.
_KINDS = {"TEXT": "text", "IMAGE": "image", "AUDIO": "audio", "VIDEO": "video"}
_TEXTS = frozenset(("TEXT",))


class ModalityCount(msgspec.Struct, rename="camel", gc=False):
    """Tokens of one modality."""

    modality: str = ""
    token_count: Count | None = None


class GeminiUsage(msgspec.Struct, rename="camel", gc=False):
    """`usageMetadata`. Thoughts are counted separately from the output; the cache is not."""

    prompt_token_count: Count | None = None
    tool_use_prompt_token_count: Count | None = None
    candidates_token_count: Count | None = None
    thoughts_token_count: Count | None = None
    cached_content_token_count: Count | None = None
    total_token_count: Count | None = None
    prompt_tokens_details: list[ModalityCount] | None = None
    candidates_tokens_details: list[ModalityCount] | None = None
    cache_tokens_details: list[ModalityCount] | None = None

    def counted(self) -> Usage | None:
        """Return the counts, or None if there are none."""
        if self.prompt_token_count is None and self.candidates_token_count is None:
            return None
        prompt, output = self.prompt_token_count or 0, self.candidates_token_count or 0
        thought = self.thoughts_token_count or 0
        # Some versions include the thoughts in the output, which the total reveals.
        is_included = output >= thought and self.total_token_count == prompt + output
        has_details = self.prompt_tokens_details or self.candidates_tokens_details
        return Usage(
            prompt + (self.tool_use_prompt_token_count or 0),
            output if is_included else output + thought,
            self.cached_content_token_count or 0,
            0,
            thought,
            _modalities(self) if has_details else (),
        )


def _modalities(usage: GeminiUsage) -> tuple[tuple[str, int], ...]:
    """Return the counts by modality, such as `("image.output_tokens", 7)`."""
    details = {
        "input_tokens": usage.prompt_tokens_details or [],
        "output_tokens": usage.candidates_tokens_details or [],
        "cache_read.input_tokens": usage.cache_tokens_details or [],
    }
    found = {count.modality for counts in details.values() for count in counts}
    if found <= _TEXTS:
        return ()
    return tuple(
        (f"{_KINDS[count.modality]}.{direction}", count.token_count)
        for direction, counts in details.items()
        for count in counts
        if count.modality in _KINDS and count.token_count
    )


def write_usage(usage: Usage) -> dict[str, Any]:
    """Return token counts as `usageMetadata`."""
    counts: dict[str, Any] = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": max(0, usage.output_tokens - usage.reasoning_tokens),
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }
    if usage.reasoning_tokens:
        counts["thoughtsTokenCount"] = usage.reasoning_tokens
    if usage.cache_read_tokens:
        counts["cachedContentTokenCount"] = usage.cache_read_tokens
    for name, amount in usage.modalities:
        kind, _, direction = name.partition(".")
        one = {"modality": kind.upper(), "tokenCount": amount}
        counts.setdefault(_DETAILS[direction], []).append(one)
    return counts
