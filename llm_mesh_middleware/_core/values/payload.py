"""JSON bodies, edited without being understood.

Members stay raw bytes, so numbers keep their spelling and messages their escapes; only members that
the configuration sets are written anew. The object is always re-encoded, also when nothing was set:
a body with the same key twice must not mean one thing to the router and another to the provider.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ...exceptions import InvalidJSON

__all__ = [
    "Fields",
    "decode_fields",
    "encode_fields",
    "is_json",
    "is_object",
    "raw",
    "read_bool",
    "read_fields",
    "read_text",
]

Fields = dict[str, msgspec.Raw]

_decode_fields = msgspec.json.Decoder(Fields).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_nothing = msgspec.json.Decoder(msgspec.Raw).decode
encode_fields = msgspec.json.Encoder().encode

_BOOLEANS = {b"true": True, b"false": False}

# The longest number that CPython reads by default (sys.int_info.default_max_str_digits). A longer
# one is no quantity but an attempt to make some parser behind the mesh work.
_MAX_DIGITS = 4300


def decode_fields(body: bytes) -> Fields:
    """The members of a JSON object, each still raw.

    Raises:
        InvalidJSON: the body is not one JSON object in UTF-8.
    """
    try:
        fields = _decode_fields(body.decode())
    except UnicodeDecodeError as exc:
        raise InvalidJSON(f"the body is not UTF-8 (byte {exc.start})") from None
    except msgspec.ValidationError:
        raise InvalidJSON("the body is JSON, but not an object") from None
    except msgspec.DecodeError as exc:
        reason = str(exc) if body.strip() else "it is empty"
        raise InvalidJSON(f"the body is not valid JSON: {reason}") from None
    except RecursionError:
        raise InvalidJSON("the body is not valid JSON: it is nested too deeply") from None
    for name, value in fields.items():
        if len(value) > _MAX_DIGITS and memoryview(value)[0] in b"-0123456789":
            raise InvalidJSON(f"a number has more than {_MAX_DIGITS} digits", param=name[:64])
    return fields


def is_json(body: bytes) -> bool:
    """Whether `body` is one whole JSON value."""
    try:
        _decode_nothing(body)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def is_object(body: bytes) -> bool:
    """Whether `body` is a JSON object in UTF-8."""
    try:
        _decode_fields(body.decode())
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    return True


def raw(value: object) -> msgspec.Raw:
    """`value` as JSON, ready to be placed in a body."""
    return msgspec.Raw(msgspec.json.encode(value))


def read_text(fields: Mapping[str, msgspec.Raw], name: str) -> str | None:
    """The member as text; None if it is absent or of another type."""
    value = fields.get(name)
    if value is None:
        return None
    try:
        return _decode_text(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def read_bool(fields: Mapping[str, msgspec.Raw], name: str) -> bool | None:
    """The member as a boolean; None if it is absent or of another type."""
    value = fields.get(name)
    if value is None:
        return None
    return _BOOLEANS.get(bytes(value))


def read_fields(fields: Mapping[str, msgspec.Raw], name: str) -> Fields:
    """The member's own members; none if it is absent or no object."""
    value = fields.get(name)
    if value is None:
        return {}
    try:
        return _decode_fields(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
