"""JSON as the official SDKs read it: Python's own parser decides what is broken.

It accepts what msgspec rejects: NaN and Infinity, a byte order mark, and lone surrogates. Only
texts that msgspec has rejected get here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

__all__ = ["member_texts", "parse_json"]

# Decoded values take up to thirty times the bytes of their text.
_MAX_CHARACTERS = 8 * 2**20
_MAX_BRACKETS = 2**19

# Counts and codes are short. A longer number is not needed, and its conversion is quadratic.
_MAX_DIGITS = 20

_SPACE = re.compile(r"[ \t\n\r]*")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


_decoder = json.JSONDecoder(parse_int=_integer)


def parse_json(data: bytes) -> object:
    """Return the value of one JSON text.

    Raises:
        ValueError: no SDK can read it either, or it exceeds the size limit.
    """
    text = data.decode("utf-8-sig")
    _check_size(text)
    try:
        return _decoder.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def member_texts(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the unchanged text of each member of a JSON object.

    Raises:
        ValueError: the text is not a JSON object, a name is not valid Unicode, or it exceeds the
        size limit.
    """
    _check_size(text)
    at = _after(text, _skip(text, 0), "{")
    if text[at : at + 1] != "}":
        while True:
            name, at = _value(text, at)
            if not isinstance(name, str):
                raise ValueError("the name of a member is not a string")
            name.encode()  # half a surrogate pair could not be written
            begin = _skip(text, _after(text, _skip(text, at), ":"))
            at = _value(text, begin)[1]
            yield name, text[begin:at]
            at = _skip(text, at)
            if text[at : at + 1] != ",":
                break
            at = _skip(text, at + 1)
    if _after(text, at, "}") != len(text):
        raise ValueError("something follows the object")


def _check_size(text: str) -> None:
    if len(text) > _MAX_CHARACTERS:
        raise ValueError(f"it has more than {_MAX_CHARACTERS} characters")
    if text.count("{") + text.count("[") > _MAX_BRACKETS:
        raise ValueError(f"it has more than {_MAX_BRACKETS} objects and lists")


def _value(text: str, at: int) -> tuple[object, int]:
    try:
        value, end = _decoder.raw_decode(text, at)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value, end


def _after(text: str, at: int, mark: str) -> int:
    """Return the position after a delimiter and white space."""
    if text[at : at + 1] != mark:
        raise ValueError(f"expected {mark!r} at character {at}")
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()
