"""Decodes some members of a provider's JSON; one of a wrong type does not hide the others.

bytes -> typed decoder ----------------------------------> members     the common case
              | a wrong type, or JSON that msgspec rejects
              v
         Python's parser -> each member separately ------> members     ten times slower
              | broken, or too long
              v
             None
"""

from __future__ import annotations

import contextlib
import json
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin

import msgspec

from .._core.values.lenient_json import parse_json
from .._core.values.payload import is_json

__all__ = ["Count", "LenientDecoder"]

Members = TypeVar("Members", bound=msgspec.Struct)

# Decoded objects take up to thirty times the bytes of their text. No useful response has more.
_FEW_BYTES = 2**20
_MAX_OBJECTS = 2**19

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class LenientDecoder(Generic[Members]):
    """Decodes to a struct of which every member has a default."""

    __slots__ = ("_decode", "_kind")

    def __init__(self, kind: type[Members]) -> None:
        self._kind = kind
        # Made at import: msgspec crashes if several threads make decoders of one type.
        self._decode = msgspec.json.Decoder(kind).decode

    def __call__(self, data: bytes) -> Members | None:
        """Return the members of `data`; None if it is not JSON.

        All members are unset if `data` is not an object, or has so many objects that it could be an
        attack.
        """
        if len(data) > _FEW_BYTES and data.count(b"{") > _MAX_OBJECTS:
            return self._kind() if is_json(data) else None
        try:
            return self._decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        try:
            value = parse_json(data)
        except ValueError:
            return self._kind() if is_json(data) else None
        return _members(self._kind, value if isinstance(value, dict) else {})


def _members(kind: type[Members], given: dict[str, object]) -> Members:
    found = kind()
    for field in msgspec.structs.fields(kind):
        value = given.get(field.encode_name)
        if value is not None:
            with contextlib.suppress(msgspec.ValidationError):
                setattr(found, field.name, _read(field.type, value))
    return found


def _read(kind: Any, value: object) -> object:
    """Return `value` as one of the types in the union `kind`.

    Raises:
        msgspec.ValidationError: It is of no such type.
    """
    if kind is msgspec.Raw:  # escapes keep halves of surrogate pairs
        return msgspec.Raw(json.dumps(value).encode())
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    elif isinstance(value, str):  # a lone half of a surrogate pair cannot be encoded later
        value = value.encode(errors="replace").decode()
    options = (kind,) if get_origin(kind) is Annotated else get_args(kind) or (kind,)
    if get_origin(kind) is list:
        options = (kind,)
    for option in options:
        if get_origin(option) is list and isinstance(value, list):
            return list(_items(get_args(option)[0], value))
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            if isinstance(value, dict):
                return _members(option, value)
        else:
            with contextlib.suppress(msgspec.ValidationError):
                return msgspec.convert(value, option)
    raise msgspec.ValidationError


def _items(kind: Any, values: list[object]) -> Any:
    for value in values:
        with contextlib.suppress(msgspec.ValidationError):
            yield _read(kind, value)
