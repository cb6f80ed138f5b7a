"""Decodes a client's body for translation; its errors are in the client's terms."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from ..._core.values.payload import Fields, encode_fields
from ...exceptions import MalformedRequest, UnsupportedField

__all__ = ["BodyDecoder", "malformed", "raw_member", "unsupported"]

Members = TypeVar("Members", bound=msgspec.Struct)


class BodyDecoder(Generic[Members]):
    """Decodes a body to a struct; members that are not in the struct are returned raw."""

    __slots__ = ("_decode", "_known")

    def __init__(self, kind: type[Members]) -> None:
        self._decode = msgspec.json.Decoder(kind).decode
        self._known = frozenset(field.encode_name for field in msgspec.structs.fields(kind))

    def __call__(self, fields: Fields) -> tuple[Members, Fields]:
        """Return the known members, and the others.

        Raises:
            MalformedRequest: A member is of another type than its dialect allows.
        """
        try:
            members = self._decode(encode_fields(fields))
        except msgspec.ValidationError as exc:
            what, _, path = str(exc).partition(" - at `$")
            path = path.rstrip("`").lstrip(".")
            raise malformed(path or "body", what) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise MalformedRequest(f"the body cannot be translated: {exc}") from None
        known = self._known
        return members, {name: value for name, value in fields.items() if name not in known}


def raw_member(member: object) -> bytes:
    """Return the JSON of a raw member; nothing if it is absent, null or an empty list.

    Clients written in PHP send a list for an object without members.
    """
    given = bytes(member) if isinstance(member, msgspec.Raw) else b""
    return b"" if given in (b"null", b"[]") else given


def malformed(param: str, what: str) -> MalformedRequest:
    """Return the error for a member that its dialect does not allow."""
    return MalformedRequest(f"{param}: {what[:1].lower()}{what[1:]}", param=param)


def unsupported(param: str, why: str) -> UnsupportedField:
    """Return the error for a member that no translation carries."""
    return UnsupportedField(f"{param} {why}", param=param)
