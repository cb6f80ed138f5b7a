"""Token counts of one call, with one meaning for all dialects."""

from __future__ import annotations

import msgspec

__all__ = ["Usage"]


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one call.

    `input_tokens` includes `cache_read_tokens` and `cache_write_tokens`; `output_tokens` includes
    `reasoning_tokens`. `modalities` has the counts by kind of content, if the provider reports
    them, such as `("audio.input_tokens", 7)`.
    """

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    modalities: tuple[tuple[str, int], ...] = ()

    def after(self, earlier: Usage | None) -> Usage:
        """Return these counts merged with `earlier` ones of the same response.

        Counts only grow; a later zero means that the provider did not count again.
        """
        if earlier is None or earlier == self:
            return self
        modalities = self.modalities
        if earlier.modalities:
            modalities = tuple((dict(earlier.modalities) | dict(self.modalities)).items())
        return Usage(
            self.input_tokens or earlier.input_tokens,
            self.output_tokens or earlier.output_tokens,
            self.cache_read_tokens or earlier.cache_read_tokens,
            self.cache_write_tokens or earlier.cache_write_tokens,
            self.reasoning_tokens or earlier.reasoning_tokens,
            modalities,
        )
