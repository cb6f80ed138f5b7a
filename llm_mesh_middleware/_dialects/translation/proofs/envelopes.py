"""Carries proofs of reasoning through clients that know only those of their own dialect.

A client stores an opaque proof and sends it back. The mesh gives it an envelope instead,

    llm-mesh. + base64url(one letter for the dialect that can verify the proof + the proof)

with the letter in upper case if the reasoning is redacted. A proof of the client's own dialect
needs no envelope. Envelopes that come back are opened; a provider is sent its own proofs only.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from ...._core.conversation.parts import Image, Part, Proof, Reasoning, ToolCall

__all__ = [
    "ANTHROPIC",
    "BEDROCK",
    "DETAIL",
    "EXTRA",
    "GEMINI",
    "MARK",
    "RESPONSES",
    "attach_proofs",
    "is_sealed",
    "open_proof",
    "own_proof",
    "seal",
]

# The letters of the dialects whose providers can verify a proof.
ANTHROPIC, BEDROCK, GEMINI, RESPONSES = "a", "b", "g", "r"
# Members of chat completions of several vendors: an item of `reasoning_details`, `extra_content`.
DETAIL, EXTRA = "d", "e"

MARK = "llm-mesh."
# Stands for a missing proof, if the client's dialect requires one.
_UNPROVED = "n"


def own_proof(dialect: str, text: str | None) -> Proof | None:
    """Return the proof from a provider of a dialect, if there is one."""
    return Proof(dialect, text) if text else None


def seal(proof: Proof | None, *, native: str, is_redacted: bool = False) -> str:
    """Return the client's text for a proof, or for a missing one.

    Args:
        proof: the provider's proof.
        native: the letter of the client's own dialect.
        is_redacted: whether the reasoning has only the proof.
    """
    if proof is not None and proof.dialect == native:
        return proof.value
    letter, value = (_UNPROVED, "") if proof is None else (proof.dialect, proof.value)
    inside = (letter.upper() if is_redacted else letter) + value
    return MARK + urlsafe_b64encode(inside.encode()).decode()


def is_sealed(text: str) -> bool:
    """Return whether a text is an envelope."""
    return text.startswith(MARK)


def open_proof(text: str, *, native: str) -> tuple[Proof | None, bool]:
    """Return the proof in a text that a client sent back, and whether its reasoning is redacted.

    A text without the mark is a proof of the client's own dialect.
    """
    if not text:
        return None, False
    if not is_sealed(text):
        return Proof(native, text), False
    try:
        inside = urlsafe_b64decode(text.removeprefix(MARK)).decode()
    except ValueError:  # damaged: no provider could verify it
        return None, False
    letter, value = inside[:1], inside[1:]
    if letter in ("", _UNPROVED):
        return None, False
    return Proof(letter.lower(), value), letter.isupper()


def attach_proofs(parts: Sequence[Part]) -> Iterator[Part]:
    """Attach the proofs of calls and images, which Google has on these parts themselves.

    In other dialects such a proof is reasoning without a text, before the part.
    """
    held: Reasoning | None = None
    for part in parts:
        if held is not None:
            if isinstance(part, ToolCall | Image):
                part = replace(part, proof=held.proof)
            else:
                yield held
            held = None
        if isinstance(part, Reasoning) and _is_carrier(part):
            held = part
        else:
            yield part
    if held is not None:
        yield held


def _is_carrier(part: Reasoning) -> bool:
    """Return whether reasoning is only the proof of another part, as Google makes them."""
    return not part.text and part.proof is not None and part.proof.dialect in (GEMINI, EXTRA)
