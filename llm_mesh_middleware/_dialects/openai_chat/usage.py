"""The usage of chat completions and similar operations."""

from __future__ import annotations

import msgspec

from ..._core.values.usage import Usage
from ..lenient import Count
from ..openai.token_details import InputDetails, OutputDetails, all_modalities, whole_output

__all__ = ["ChatUsage", "Groq"]


class _InputDetails(InputDetails, gc=False):
    cache_creation_input_tokens: Count | None = None  # DashScope


_NO_INPUT, _NO_OUTPUT = _InputDetails(), OutputDetails()


class ChatUsage(msgspec.Struct, gc=False):
    """`usage`, with the members that some providers add.

    Some servers use the names of the Responses API.
    """

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: OutputDetails | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: OutputDetails | None = None
    prompt_cache_hit_tokens: Count | None = None  # DeepSeek
    cached_tokens: Count | None = None  # Moonshot
    cache_read_input_tokens: Count | None = None  # Anthropic's compatible endpoint
    cache_creation_input_tokens: Count | None = None  # the same

    def counted(self) -> Usage | None:
        """Return the counts, or None if there are none: unknown is not zero."""
        prompt, output = self.prompt_tokens, self.completion_tokens
        if prompt is None or output is None:
            prompt = self.input_tokens if prompt is None else prompt
            output = self.output_tokens if output is None else output
            if prompt is None and output is None:
                return None
            prompt, output = prompt or 0, output or 0
        reasoning = 0
        inputs = self.prompt_tokens_details or self.input_tokens_details
        outputs = self.completion_tokens_details or self.output_tokens_details
        read = self.prompt_cache_hit_tokens or self.cached_tokens or self.cache_read_input_tokens
        written = self.cache_creation_input_tokens
        has_details = inputs is not None or outputs is not None or read or written
        if not has_details and self.total_tokens == prompt + output:
            return Usage(prompt, output)
        if inputs is not None:
            read = inputs.cached_tokens or read
            written = inputs.cache_write_tokens or inputs.cache_creation_input_tokens or written
        if outputs is not None:
            reasoning = outputs.reasoning_tokens or 0
        if reasoning or self.total_tokens != prompt + output:
            is_input_complete = not (
                self.cache_read_input_tokens or self.cache_creation_input_tokens
            )
            output = whole_output(
                prompt, output, reasoning, self.total_tokens, is_input_complete=is_input_complete
            )
        if inputs is None and outputs is None:
            return Usage(prompt, output, read or 0, written or 0)
        modalities = all_modalities(inputs or _NO_INPUT, outputs or _NO_OUTPUT)
        return Usage(prompt, output, read or 0, written or 0, reasoning, modalities)


class Groq(msgspec.Struct, gc=False):
    """`x_groq`, which holds the counts of a stream."""

    usage: ChatUsage | None = None
