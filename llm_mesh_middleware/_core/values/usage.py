"""Token counts as providers report them, brought to one meaning."""

from __future__ import annotations

import msgspec

__all__ = ["Usage", "UsageFields"]


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one call.

    `input_tokens` includes `cache_read_tokens`; `output_tokens` includes `reasoning_tokens`.
    `modalities` has the part that is of one kind, where the provider says so, such as
    `("audio.input_tokens", 7)`.
    """

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    modalities: tuple[tuple[str, int], ...] = ()


class _Modalities(msgspec.Struct):
    text_tokens: int | None = None
    image_tokens: int | None = None
    audio_tokens: int | None = None

    def named(self, direction: str) -> tuple[tuple[str, int], ...]:
        if not (self.text_tokens or self.image_tokens or self.audio_tokens):
            return ()
        amounts = {"text": self.text_tokens, "image": self.image_tokens, "audio": self.audio_tokens}
        return tuple((f"{kind}.{direction}", n) for kind, n in amounts.items() if n)


class _InputDetails(_Modalities):
    cached_tokens: int | None = None
    cached_tokens_details: _Modalities | None = None
    cache_write_tokens: int | None = None
    cache_creation_input_tokens: int | None = None  # DashScope


class _OutputDetails(_Modalities):
    reasoning_tokens: int | None = None


_NO_INPUT, _NO_OUTPUT = _InputDetails(), _OutputDetails()


class UsageFields(msgspec.Struct):
    """`usage` of chat and text completions and embeddings (`prompt_tokens`), or of responses."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek
    cached_tokens: int | None = None  # Moonshot
    cache_read_input_tokens: int | None = None  # Anthropic
    cache_creation_input_tokens: int | None = None  # Anthropic

    def after(self, earlier: Usage | None) -> Usage | None:
        """The counts, if `earlier` ones of the same answer are known.

        Anthropic's last event may count the output alone; the input was counted by the first.
        """
        counted = self.normalised()
        if earlier is None or counted is None:
            return counted or earlier
        if self.prompt_tokens is not None or self.input_tokens is not None:
            return counted
        return Usage(
            earlier.input_tokens,
            counted.output_tokens,
            earlier.cache_read_tokens,
            earlier.cache_write_tokens,
            counted.reasoning_tokens,
            (*earlier.modalities, *counted.modalities),
        )

    def normalised(self) -> Usage | None:
        """The counts, or None if there is none: no count is not a count of nothing."""
        given = self.prompt_tokens if self.prompt_tokens is not None else self.input_tokens
        made = self.completion_tokens if self.completion_tokens is not None else self.output_tokens
        if given is None and made is None:
            return None
        inputs = self.prompt_tokens_details or self.input_tokens_details or _NO_INPUT
        outputs = self.completion_tokens_details or self.output_tokens_details or _NO_OUTPUT
        written = (
            inputs.cache_write_tokens
            or inputs.cache_creation_input_tokens
            or self.cache_creation_input_tokens
            or 0
        )
        read = inputs.cached_tokens or self.prompt_cache_hit_tokens or self.cached_tokens or 0
        if self.prompt_tokens is None and self.cache_read_input_tokens is not None:
            # Anthropic's own counts leave the cached part out of the input.
            read = self.cache_read_input_tokens
            given = (given or 0) + read + written
        details = inputs.cached_tokens_details
        cached = details.named("cache_read.input_tokens") if details is not None else ()
        return Usage(
            given or 0,
            made or 0,
            read or self.cache_read_input_tokens or 0,
            written,
            outputs.reasoning_tokens or 0,
            (*inputs.named("input_tokens"), *outputs.named("output_tokens"), *cached),
        )
