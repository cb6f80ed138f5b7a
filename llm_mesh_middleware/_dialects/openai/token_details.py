"""The details of usage in OpenAI's APIs and compatible ones."""

from __future__ import annotations

import msgspec

from ..._core.values.usage import Usage
from ..lenient import Count

__all__ = [
    "InputDetails",
    "Modalities",
    "OutputDetails",
    "all_modalities",
    "whole_output",
    "write_modalities",
]


class Modalities(msgspec.Struct, gc=False):
    """Tokens by modality."""

    text_tokens: Count | None = None
    image_tokens: Count | None = None
    audio_tokens: Count | None = None

    def named(self, direction: str) -> tuple[tuple[str, int], ...]:
        """Return the counts that are not zero, such as `("audio.<direction>", 7)`."""
        if not (self.text_tokens or self.image_tokens or self.audio_tokens):
            return ()
        amounts = {"text": self.text_tokens, "image": self.image_tokens, "audio": self.audio_tokens}
        return tuple((f"{kind}.{direction}", n) for kind, n in amounts.items() if n)


class InputDetails(Modalities, gc=False):
    """The parts of the input."""

    cached_tokens: Count | None = None
    cached_tokens_details: Modalities | None = None
    cache_write_tokens: Count | None = None


class OutputDetails(Modalities, gc=False):
    """The parts of the output."""

    reasoning_tokens: Count | None = None


def all_modalities(inputs: InputDetails, outputs: OutputDetails) -> tuple[tuple[str, int], ...]:
    """Return the counts by modality, of both directions."""
    cached = inputs.cached_tokens_details
    return (
        *inputs.named("input_tokens"),
        *outputs.named("output_tokens"),
        *(cached.named("cache_read.input_tokens") if cached is not None else ()),
    )


def write_modalities(usage: Usage, direction: str) -> dict[str, int]:
    """Return the members with the counts by modality of one direction."""
    named = (name.partition(".") for name, _ in usage.modalities)
    amounts = zip(named, usage.modalities, strict=True)
    return {f"{kind}_tokens": n for (kind, _, way), (_, n) in amounts if way == direction}


def whole_output(
    prompt: int, output: int, reasoning: int, total: int | None, *, is_input_complete: bool
) -> int:
    """Return the output including the reasoning, which some providers count separately.

    `is_input_complete` is false if the input may exclude cached tokens: then the total is not used.
    """
    separate = 0 if total is None or not is_input_complete else total - prompt - output
    if separate > 0:
        return output + separate
    return output if reasoning <= output else output + reasoning
