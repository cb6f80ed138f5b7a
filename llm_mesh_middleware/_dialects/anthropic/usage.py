"""Token counts as the Messages API reports them."""

from __future__ import annotations

import msgspec

from ..._core.values.usage import Usage
from ..lenient import Count

__all__ = ["MessageUsage"]


class _OutputDetails(msgspec.Struct):
    thinking_tokens: Count | None = None


class MessageUsage(msgspec.Struct):
    """`usage` of a message, and of the events of one.

    The input excludes what was read from a cache or written to it. The first event of a stream
    counts the input; the last ones count the output, and may repeat, complete or omit the rest.
    """

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    output_tokens_details: _OutputDetails | None = None

    def after(self, earlier: MessageUsage | None) -> MessageUsage:
        """Return the counts of a message after `earlier` ones: they only grow."""
        if earlier is None:
            return self
        return MessageUsage(
            self.input_tokens or earlier.input_tokens,
            self.output_tokens or earlier.output_tokens,
            self.cache_read_input_tokens or earlier.cache_read_input_tokens,
            self.cache_creation_input_tokens or earlier.cache_creation_input_tokens,
            self.output_tokens_details or earlier.output_tokens_details,
        )

    def counted(self) -> Usage | None:
        """Return the counts, or None if there are none."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        read = self.cache_read_input_tokens or 0
        written = self.cache_creation_input_tokens or 0
        details = self.output_tokens_details
        return Usage(
            (self.input_tokens or 0) + read + written,
            self.output_tokens or 0,
            read,
            written,
            (details.thinking_tokens or 0) if details is not None else 0,
        )
