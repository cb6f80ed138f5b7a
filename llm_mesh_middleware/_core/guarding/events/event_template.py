"""A template of events: most events of a stream differ from an earlier one only in one text.

    data: {"id":"c-1","created":17,"choices":[{"delta":{"content":" word"},"finish_reason":null}]}
    |<-- head ---------------> slot |<------------------------->|text |<-- tail -------------->|

An event that matches is not decoded. The JSON before and after the text is the same, and the text
is one string: so the event has the same members, and its text has the same place. A slot is what
two events of the stream differ in that is not a text, such as a count of tokens: a number, or a
string of letters and digits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set

import msgspec

from ...dialect import TextForm
from ...http.sse import event_data

__all__ = ["EventTemplate", "learn_template", "widen_template"]

_decode = msgspec.json.Decoder().decode
_decode_text = msgspec.json.Decoder(str).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_PROBE = "\u2603 probe"
# Every other token is one of letters and digits.
_TOKENS = re.compile(rb"([A-Za-z0-9]+)")
_MOST_SLOTS = 12
_LONGEST_SLOT = 64

Place = tuple[int, int, int]
"""Where the text of an event begins and ends, without its quotes, and where the event ends."""


class EventTemplate(msgspec.Struct, frozen=True):
    """The bytes before and after the text, each in pieces with a slot between two of them.

    The quotes of the text belong to the pieces. `key` is the key of the text. `example` is what an
    event had before and after the text, `slots` says which of its tokens are slots.
    """

    heads: Sequence[bytes]
    tails: Sequence[bytes]
    key: object
    example: tuple[bytes, bytes]
    slots: tuple[Set[int], Set[int]]

    def locate(self, data: bytes, at: int = 0) -> Place | None:
        """Return the place of the text of the event that begins at `at`, None if none matches."""
        begin = _behind(self.heads, data, at)
        if begin < 0:
            return None
        stop = data.find(b'"', begin)
        end = _behind(self.tails, data, stop)
        if end < 0:  # the text may have quotes with a backslash
            stop = data.find(self.tails[0], begin)
            end = _behind(self.tails, data, stop)
        return (begin, stop, end) if 0 <= stop < end else None

    def text(self, event: bytes) -> str | None:
        """Return the text of an event, None if it does not match."""
        place = self.locate(event)
        if place is None or place[2] != len(event):
            return None
        try:
            # This accepts exactly one JSON string, so the text has no unescaped quote or line end.
            return _decode_text(event[place[0] - 1 : place[1] + 1])
        except _UNREADABLE:
            return None


def learn_template(event: bytes, text: str, key: object, texts: TextForm) -> EventTemplate | None:
    """Return the template of an event, None if its text cannot be located safely.

    To verify the position, the event is read once with another text in its place.
    """
    written = b'"%b"' % text.encode("utf-8", "surrogatepass")
    at = event.find(written)
    if at < 0 or event.find(written, at + 1) >= 0:
        return None
    head, tail = event[: at + 1], event[at + len(written) - 1 :]
    if not _has_its_place(head, tail, key, texts):
        return None
    return EventTemplate((head,), (tail,), key, (head, tail), (frozenset(), frozenset()))


def widen_template(old: EventTemplate, new: EventTemplate, texts: TextForm) -> EventTemplate | None:
    """Return a template that matches what two do, None if they differ in more than slots.

    To verify that slots are neither texts nor part of the key, an event is read with other values.
    """
    tokens = [_TOKENS.split(part) for part in new.example]
    heads, tails = (
        _slots(_TOKENS.split(part), others, known)
        for part, others, known in zip(old.example, tokens, old.slots, strict=True)
    )
    if (
        old.key != new.key
        or heads is None
        or tails is None
        or len(heads) + len(tails) > _MOST_SLOTS
    ):
        return None
    if not _has_its_place(_other(tokens[0], heads), _other(tokens[1], tails), new.key, texts):
        return None
    pieces = _pieces(tokens[0], heads), _pieces(tokens[1], tails)
    return EventTemplate(*pieces, new.key, new.example, (heads, tails))


def _has_its_place(head: bytes, tail: bytes, key: object, texts: TextForm) -> bool:
    """Return whether an event with a text between `head` and `tail` has it under this key only."""
    try:
        found = texts.read_event(_decode(event_data(b"%b%b%b" % (head, _PROBE.encode(), tail))))
    except _UNREADABLE:
        return False
    if len(found.parts) != 1 or any(True for _ in found.wholes):
        return False
    ((found_key, place),) = found.parts
    return bool(found_key == key and place.text == _PROBE)


def _slots(tokens: Sequence[bytes], others: Sequence[bytes], known: Set[int]) -> Set[int] | None:
    """Return which tokens are slots, None if tokens differ that cannot be slots."""
    if len(tokens) != len(others):
        return None
    found = set(known)
    for at, (token, other) in enumerate(zip(tokens, others, strict=True)):
        if token == other:
            continue
        if not (_is_slot(tokens, at) and _is_slot(others, at)):
            return None
        found.add(at)
    return frozenset(found)


def _is_slot(tokens: Sequence[bytes], at: int) -> bool:
    """Return whether a token is a whole number or a whole string."""
    if not at % 2:
        return False
    before, after = tokens[at - 1].rstrip(), tokens[at + 1].lstrip()
    if before.endswith(b'"') and after.startswith(b'"'):
        return tokens[at - 1].endswith(b'"') and tokens[at + 1].startswith(b'"')
    return tokens[at].isdigit() and before[-1:] in b":[," and after[:1] in b",]}"


def _other(tokens: Sequence[bytes], slots: Set[int]) -> bytes:
    """Return what an event has instead of some tokens, with other values in the slots."""
    return b"".join(
        (b"7%b" if token.isdigit() else b"%bx") % token if at in slots else token
        for at, token in enumerate(tokens)
    )


def _pieces(tokens: Sequence[bytes], slots: Set[int]) -> Sequence[bytes]:
    """Return what is between slots."""
    ends = [*sorted(slots), len(tokens)]
    begins = [0, *(slot + 1 for slot in ends)]
    return tuple(b"".join(tokens[a:b]) for a, b in zip(begins, ends, strict=False))


def _behind(pieces: Sequence[bytes], data: bytes, at: int) -> int:
    """Return where pieces end that begin at `at`, with a slot between two of them; else -1."""
    piece = pieces[0]
    if at < 0 or not data.startswith(piece, at):
        return -1
    at += len(piece)
    for following in pieces[1:]:
        end = data.find(following, at, at + _LONGEST_SLOT + len(following))
        slot = data[at:end]
        # In quotes it is a string, else a number.
        if end < 0 or not (slot.isdigit() or (slot.isalnum() and piece.endswith(b'"'))):
            return -1
        piece, at = following, end + len(following)
    return at
