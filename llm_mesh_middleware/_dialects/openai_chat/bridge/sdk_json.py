"""Reads and writes the JSON that the official SDKs accept.

SDKs accept NaN, Infinity, a byte order mark and lone surrogates. Values take up to 25 times as many
bytes as their JSON, so size, depth and the number of brackets are limited.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["MAX_BYTES", "ConversionLimit", "check_size", "decode_json", "encode_json", "weight"]

MAX_BYTES = 8 * 2**20
_MAX_DEPTH = 64
_MAX_BRACKETS = 2**19

# The weight of an empty object or list, whose memory exceeds its two bytes.
_CONTAINER_WEIGHT = 16

_decode = json.JSONDecoder().decode
_decode_quickly = msgspec.json.Decoder().decode
_COMPACT = (",", ":")


class ConversionLimit(ValueError):
    """A response is too large or too deeply nested to be converted."""


def check_size(size: int) -> None:
    """Check that a response is not too large to be converted.

    Raises:
        ConversionLimit: `size` is more than `MAX_BYTES`.
    """
    if size > MAX_BYTES:
        raise ConversionLimit(
            "sent a response in a form that the client did not ask for, "
            f"and of more than the {MAX_BYTES} bytes that can be converted"
        )


def decode_json(data: bytes) -> Any:
    """Decode one JSON value.

    Raises:
        ValueError: the value cannot be read by an SDK either.
        ConversionLimit: the value is nested too deeply, or of too many parts.
    """
    brackets = data.count(b"{") + data.count(b"[")
    if brackets > _MAX_BRACKETS:
        raise ConversionLimit(f"sent JSON of more than {_MAX_BRACKETS} objects and lists")
    try:
        value = _decode_quickly(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = _decode_leniently(data)
    # A value has no more levels than brackets, and nearly every event has few of them.
    if brackets > _MAX_DEPTH and _is_deeper(value, _MAX_DEPTH):
        raise _too_deep()
    return value


def encode_json(value: Any, plain: Callable[[Any], Any] | None = None) -> bytes:
    """Encode `value` compactly; `plain` converts objects that are not JSON values.

    Text is written without escapes, unless it has a lone surrogate.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, separators=_COMPACT, default=plain)
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=_COMPACT, default=plain).encode()


def _decode_leniently(data: bytes) -> Any:
    try:
        return _decode(data.decode("utf-8-sig"))
    except RecursionError:
        raise _too_deep() from None


def weight(value: Any) -> int:
    """Return the approximate size of `value` as JSON, at least in proportion to its memory."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return _CONTAINER_WEIGHT + sum([len(k) + weight(v) for k, v in value.items()])
    if isinstance(value, list):
        return _CONTAINER_WEIGHT + sum([4 + weight(v) for v in value])
    return 4


def _is_deeper(value: Any, levels: int) -> bool:
    """Return whether containers are nested more than `levels` deep, level by level."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(levels):
        members = [v.values() if isinstance(v, dict) else v for v in level]
        level = [v for inner in members for v in inner if isinstance(v, (dict, list))]
        if not level:
            return False
    return True


def _too_deep() -> ConversionLimit:
    return ConversionLimit(f"sent JSON that is nested more than {_MAX_DEPTH} levels deep")
