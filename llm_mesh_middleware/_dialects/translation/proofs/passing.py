"""Removes envelopes from requests that are passed on in the client's own dialect.

The provider would reject the request because of a proof that is not its own. Lists are edited item
by item: items without an envelope keep their bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ...._core.values.payload import Fields, raw
from .envelopes import MARK, is_sealed

__all__ = ["edit_items", "is_foreign", "without"]

_MARK = MARK.encode()
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_item = msgspec.json.Decoder(Fields).decode
_decode_text = msgspec.json.Decoder(str).decode

Edit = Callable[[Fields], Fields | None]


def edit_items(fields: Fields, name: str, edit: Edit, *, mark: bytes = _MARK) -> Fields:
    """Return members with those items of a list edited that may hold an envelope.

    Args:
        fields: the members of an object.
        name: the member with the list; other values are left unchanged.
        edit: returns the members of an item, None to remove it.
        mark: bytes that the JSON of an item with an envelope contains.
    """
    given = bytes(fields.get(name, b""))
    if mark not in given:
        return fields
    try:
        items = [
            edited
            for item in _decode_items(given)
            if (edited := _edited(item, edit, mark)) is not None
        ]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return fields  # the provider reports the error
    return {**fields, name: raw(items)}


def _edited(item: msgspec.Raw, edit: Edit, mark: bytes) -> msgspec.Raw | None:
    if mark not in bytes(item):
        return item
    members = edit(_decode_item(item))
    return None if members is None else raw(members)


def is_foreign(fields: Fields, *names: str) -> bool:
    """Return whether one of the members is an envelope."""
    for name in names:
        given = bytes(fields.get(name, b"null"))
        if given.startswith(b'"') and is_sealed(_decode_text(given)):
            return True
    return False


def without(fields: Fields, name: str) -> Fields:
    """Return members without one of them."""
    return {other: value for other, value in fields.items() if other != name}
