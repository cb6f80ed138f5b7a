"""Token counts as the Gemini API reports them."""

from __future__ import annotations

from typing import Any

import msgspec

from ..._core.values.usage import Usage
from ..lenient import Count

__all__ = ["GeminiUsage", "write_usage"]


class GeminiUsage(msgspec.Struct, rename="camel", gc=False):
    """`usageMetadata`. Thoughts are counted separately from the output; the cache is not."""

    prompt_token_count: Count | None = None
    tool_use_prompt_token_count: Count | None = None
    candidates_token_count: Count | None = None
    thoughts_token_count: Count | None = None
    cached_content_token_count: Count | None = None
    total_token_count: Count | None = None

    def counted(self) -> Usage | None:
        """Return the counts, or None if there are none."""
        if self.prompt_token_count is None and self.candidates_token_count is None:
            return None
        prompt, output = self.prompt_token_count or 0, self.candidates_token_count or 0
        thought = self.thoughts_token_count or 0
        # Some versions include the thoughts in the output, which the total reveals.
        is_included = output >= thought and self.total_token_count == prompt + output
        return Usage(
            prompt + (self.tool_use_prompt_token_count or 0),
            output if is_included else output + thought,
            self.cached_content_token_count or 0,
            0,
            thought,
        )


def write_usage(usage: Usage) -> dict[str, Any]:
    """Return token counts as `usageMetadata`."""
    counts = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": max(0, usage.output_tokens - usage.reasoning_tokens),
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }
    if usage.reasoning_tokens:
        counts["thoughtsTokenCount"] = usage.reasoning_tokens
    if usage.cache_read_tokens:
        counts["cachedContentTokenCount"] = usage.cache_read_tokens
    return counts
