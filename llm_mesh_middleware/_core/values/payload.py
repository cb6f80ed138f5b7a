"""JSON bodies, edited member by member without decoding the values.

Members stay raw bytes, so numbers keep their spelling and messages their escapes; only members that
the configuration sets are rewritten. The object is always re-encoded, even when nothing was set:
a body with the same key twice must not mean one thing to the router and another to the provider.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ...exceptions import InvalidJSON
from .lenient_json import member_texts, parse_json

__all__ = [
    "Fields",
    "decode_fields",
    "encode_fields",
    "is_json",
    "raw",
    "read_bool",
    "read_count",
    "read_fields",
    "read_text",
]

Fields = dict[str, msgspec.Raw]

_decode_fields = msgspec.json.Decoder(Fields).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_nothing = msgspec.json.Decoder(msgspec.Raw).decode
encode_fields = msgspec.json.Encoder().encode

_BOM = b"\xef\xbb\xbf"
_BOOLEANS = {b"true": True, b"false": False}

# The longest number that CPython reads by default (sys.int_info.default_max_str_digits). A longer
# one is not a quantity but an attack on a parser behind the mesh.
_MAX_DIGITS = 4300


def decode_fields(body: bytes) -> Fields:
    """Return the members of a JSON object, each still raw.

    Raises:
        InvalidJSON: the body is not one JSON object in UTF-8.
    """
    try:
        # A text would be another copy of a long body, kept by the members until the call ends.
        fields = _decode_fields(body if body.isascii() else _utf8(body))
    except UnicodeDecodeError as exc:
        raise InvalidJSON(f"the body is not UTF-8 (byte {exc.start})") from None
    except msgspec.ValidationError:
        raise InvalidJSON("the body is JSON, but not an object") from None
    except msgspec.DecodeError as exc:
        fields = _decode_leniently(body.decode().removeprefix("\ufeff"), reason=str(exc))
    except RecursionError:
        raise InvalidJSON("the body is not valid JSON: it is nested too deeply") from None
    if len(body) > _MAX_DIGITS:
        _check_numbers(fields)
    return fields


def _utf8(body: bytes) -> bytes:
    """Return a body without a byte order mark; members that are skipped are checked here only."""
    body.decode()
    return body.removeprefix(_BOM)


def _check_numbers(fields: Fields) -> None:
    for name, value in fields.items():
        if len(value) > _MAX_DIGITS and memoryview(value)[0] in b"-0123456789":
            raise InvalidJSON(f"a number has more than {_MAX_DIGITS} digits", param=name[:64])


def _decode_leniently(given: bytes | str, *, reason: str) -> Fields:
    """Decode what msgspec rejects and Python's parser accepts; the provider has the final say."""
    text = given.decode() if isinstance(given, bytes) else given
    try:
        return {name: msgspec.Raw(value.encode()) for name, value in member_texts(text)}
    except ValueError:
        reason = reason if text.strip() else "it is empty"
        raise InvalidJSON(f"the body is not valid JSON: {reason}") from None


def is_json(body: bytes) -> bool:
    """Return whether `body` is one JSON value that SDKs can read."""
    try:
        _decode_nothing(body.decode())
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass
    else:
        return True
    try:
        parse_json(body)
    except ValueError:
        return False
    return True


def raw(value: object) -> msgspec.Raw:
    """Return `value` as JSON, ready to be placed in a body."""
    return msgspec.Raw(msgspec.json.encode(value))


def read_text(fields: Mapping[str, msgspec.Raw], name: str) -> str | None:
    """Return the member as text; None if it is absent or of another type."""
    value = fields.get(name)
    if value is None:
        return None
    try:
        return _decode_text(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def read_bool(fields: Mapping[str, msgspec.Raw], name: str) -> bool | None:
    """Return the member as a boolean; None if it is absent or of another type."""
    value = fields.get(name)
    if value is None:
        return None
    return _BOOLEANS.get(bytes(value))


def read_count(fields: Mapping[str, msgspec.Raw], name: str) -> int | None:
    """Return a member that is a whole number of 0 or more, else None."""
    value = fields.get(name)
    if value is None:
        return None
    text = bytes(value)
    return int(text) if text.isdigit() and len(text) < 16 else None


def read_fields(fields: Mapping[str, msgspec.Raw], name: str) -> Fields:
    """Return the member's own members; none if it is absent or not an object."""
    value = fields.get(name)
    if value is None:
        return {}
    try:
        return _decode_fields(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
