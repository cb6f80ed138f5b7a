"""The usage of the Responses API."""

from __future__ import annotations

import msgspec

from ..._core.values.usage import Usage
from ..lenient import Count
from ..openai.token_details import InputDetails, OutputDetails, all_modalities, whole_output

__all__ = ["ResponseUsage"]

_NO_INPUT, _NO_OUTPUT = InputDetails(), OutputDetails()


class ResponseUsage(msgspec.Struct):
    """`usage` of a response."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    total_tokens: Count | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None

    def counted(self) -> Usage | None:
        """Return the counts, or None if there is none."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        inputs = self.input_tokens_details or _NO_INPUT
        outputs = self.output_tokens_details or _NO_OUTPUT
        prompt, reasoning = self.input_tokens or 0, outputs.reasoning_tokens or 0
        output = whole_output(
            prompt, self.output_tokens or 0, reasoning, self.total_tokens, is_input_complete=True
        )
        return Usage(
            prompt,
            output,
            inputs.cached_tokens or 0,
            inputs.cache_write_tokens or 0,
            reasoning,
            all_modalities(inputs, outputs),
        )
