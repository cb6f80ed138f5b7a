"""Signatures of the Gemini API: base64, in either of its two alphabets.

The SDKs decode signatures, so an envelope with a foreign proof is encoded again.
"""

from __future__ import annotations

from base64 import b64decode, b64encode

from ..._core.conversation.parts import Proof
from ..translation.proofs import GEMINI, is_sealed, open_proof, seal
from ..translation.proofs import MARK as SEAL

__all__ = ["MARK", "STAND_IN", "open_signature", "standard_base64", "write_signature"]

# Stands in for the signature of a call that another model has made.
STAND_IN = b64encode(b"skip_thought_signature_validator").decode()
# The beginning of an envelope here. Its bytes fill whole groups of base64.
MARK = b64encode(SEAL.encode())

_STANDARD = str.maketrans("-_", "+/")


def standard_base64(text: str) -> str:
    """Return base64 in the standard alphabet, with padding."""
    if "-" in text or "_" in text:
        text = text.translate(_STANDARD)
    return text + "=" * (-len(text) % 4)


def open_signature(text: str | None) -> tuple[Proof | None, bool]:
    """Return the proof in a signature, and whether its reasoning is redacted."""
    if not text:
        return None, False
    try:
        inside = b64decode(standard_base64(text), validate=True).decode()
    except ValueError:
        inside = ""
    if is_sealed(inside):
        return open_proof(inside, native=GEMINI)
    return Proof(GEMINI, text), False


def write_signature(proof: Proof | None, *, is_redacted: bool = False) -> dict[str, str]:
    """Return the member that carries a proof, if there is one."""
    if proof is None:
        return {}
    sealed = seal(proof, native=GEMINI, is_redacted=is_redacted)
    if proof.dialect != GEMINI:
        sealed = b64encode(sealed.encode()).decode()
    return {"thoughtSignature": sealed}
