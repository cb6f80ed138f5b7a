"""Spans of time as manifests write them: `30s`, `1m30s`, `250ms`, or a number of seconds."""

import math
import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

__all__ = ["Duration", "LongDuration", "read_duration"]

# The units of Istio's durations (protobuf JSON, Go's time.ParseDuration) that make sense here.
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = r"[0-9]+(?:\.[0-9]+)?(?:ms|h|m|s)"
_PARTS = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|h|m|s)")
_DURATION = re.compile(f"(?:{_PART})+")


def read_duration(value: object) -> object:
    """Return seconds above 0; the type check refuses what is neither text nor a number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    if isinstance(value, str):
        if not _DURATION.fullmatch(value):
            raise ValueError("must be a duration such as 30s, 1m30s or 250ms, or seconds")
        value = sum(float(number) * _UNITS[unit] for number, unit in _PARTS.findall(value))
    seconds = float(value)
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError("must be longer than 0")
    return seconds


Duration = Annotated[
    float,
    BeforeValidator(read_duration),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": f"^(?:{_PART})+$"},
            ]
        }
    ),
]

# Days are for how long things are kept; timeouts are Gateway API durations, which have no days.
_DAYS = re.compile(r"[0-9]+d")


def _read_long(value: object) -> object:
    if isinstance(value, str) and _DAYS.fullmatch(value):
        value = 86400 * int(value[:-1])
    try:
        return read_duration(value)
    except ValueError as error:
        raise ValueError(str(error).replace("30s, 1m30s", "30s, 1m30s, 7d")) from None


LongDuration = Annotated[
    float,
    BeforeValidator(_read_long),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": f"^(?:[0-9]+d|(?:{_PART})+)$"},
            ]
        }
    ),
]
