"""Proofs of reasoning in members that vendors add to chat completions, and back.

member of a message or a delta       neutral form                                 vendor
reasoning_details: reasoning.text    its text; the proof is the item without it   OpenRouter
                   .summary          the same
                   .encrypted        no text; the proof is the item
extra_content of a call              the proof of the call                        Google

Only the provider that has given such a member gets it back, as it was: others would refuse it. So a
proof begins with a line that names the provider. A reasoning.text without a signature, and an
extra_content without one, prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ...._core.conversation.answer import Delta, ReasoningDelta, ReasoningEnd
from ...._core.conversation.parts import Part, Proof, Reasoning
from ...translation.proofs import DETAIL, EXTRA

__all__ = ["Detail", "DetailReader", "extra_proof", "read_details", "write_details", "write_extra"]

_TEXT, _SUMMARY = "reasoning.text", "reasoning.summary"
_SIGNATURE = b"thought_signature"


class Detail(msgspec.Struct, omit_defaults=True):
    """An item of `reasoning_details`, or a piece of one."""

    type: str = ""
    text: str | None = None
    summary: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    format: str | None = None
    index: int | None = None

    @property
    def said(self) -> str:
        """The text to be read."""
        return self.text or self.summary or ""

    def continues(self, known: Detail) -> bool:
        """Return whether this is a further piece of a known item.

        Neighbours are one reasoning.text until it is signed, whatever their index.
        """
        if self.type != known.type or self.data or known.data:
            return False
        if self.type == _SUMMARY:
            return self.index in (None, known.index) and self.id in (None, known.id)
        return not (known.signature and self.said)

    def without_text(self) -> Detail:
        """Return the item without what reasoning has as its text."""
        return msgspec.structs.replace(self, text=None, summary=None)

    def proof(self, host: str) -> Proof | None:
        """Return the proof for the provider of `host`, if the item is worth returning."""
        is_proof = self.signature if self.type == _TEXT else self.type == _SUMMARY or self.data
        if not host or not is_proof:
            return None
        return Proof(DETAIL, f"{host}\n{_encode(self.without_text()).decode()}")


_encode = msgspec.json.Encoder().encode
_decode_detail = msgspec.json.Decoder(Detail).decode
_decode_extra = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class DetailReader:
    """Reads the items of a stream; the `open` one may have further pieces."""

    __slots__ = ("_host", "open")

    def __init__(self, host: str) -> None:
        self._host = host
        self.open: Detail | None = None

    def read(self, pieces: Sequence[Detail], thought: str, deltas: list[Delta]) -> None:
        """Add the deltas of pieces; `thought` is their text, if they do not have it themselves."""
        if thought and not any(piece.said for piece in pieces):
            deltas.append(ReasoningDelta(thought))
        for piece in pieces:
            known = self.open
            if known is None or not piece.continues(known):
                self.end(deltas, is_followed=True)
                known = self.open = piece.without_text()
            known.signature = known.signature or piece.signature
            known.id, known.format = known.id or piece.id, known.format or piece.format
            if text := piece.said:
                deltas.append(ReasoningDelta(text))

    def end(self, deltas: list[Delta], *, is_followed: bool = False) -> None:
        """Add the end of the open item; one that proves nothing ends only if another follows."""
        known, self.open = self.open, None
        if known is not None:
            proof = known.proof(self._host)
            if proof is not None or is_followed:
                deltas.append(ReasoningEnd(proof))


def read_details(details: Sequence[Detail], thought: str, host: str) -> Iterator[Reasoning]:
    """Yield the reasoning of a whole message.

    Args:
        details: the items.
        thought: the whole text of the reasoning, for items without texts or proofs.
        host: the provider's.
    """
    proofs = [detail.proof(host) for detail in details]
    is_told = any(detail.said for detail in details)
    if thought and not (is_told and any(proofs)):
        yield Reasoning(thought)
    for detail, proof in zip(details, proofs, strict=True):
        if proof is not None or (is_told and any(proofs)):
            yield Reasoning(detail.said, proof)


def extra_proof(extra: msgspec.Raw, host: str) -> Proof | None:
    """Return the proof in the `extra_content` of a call."""
    given = bytes(extra)
    if not host or _SIGNATURE not in given or not given.startswith(b"{"):
        return None
    return Proof(EXTRA, f"{host}\n{given.decode()}")


def write_details(parts: Iterable[Part], host: str) -> list[Detail]:
    """Return the items that this provider has given, with their texts."""
    details: list[Detail] = []
    unsigned = ""  # of an item whose signature came after the answer had begun
    for part in parts:
        if not isinstance(part, Reasoning):
            continue
        if part.proof is None:
            unsigned = part.text
        elif (given := _given(part.proof, DETAIL, host)) is not None:
            try:
                detail = _decode_detail(given)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue  # no provider has made this
            if detail.type == _SUMMARY:
                detail.summary = part.text
            elif detail.type == _TEXT:
                detail.text, unsigned = part.text or unsigned or None, ""
            details.append(detail)
    return details


def write_extra(proof: Proof | None, host: str) -> msgspec.Raw | None:
    """Return the `extra_content` that this provider has given with a call."""
    given = None if proof is None else _given(proof, EXTRA, host)
    if given is None:
        return None
    try:
        _decode_extra(given)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # no provider has made this
    return msgspec.Raw(given)


def _given(proof: Proof, letter: str, host: str) -> bytes | None:
    """Return the JSON in a proof, if it is this provider's."""
    named, _, given = proof.value.partition("\n")
    if proof.dialect != letter or not host or named != host:
        return None
    return given.encode("utf-8", "replace")
