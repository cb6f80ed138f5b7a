"""What a request says of itself, as span attributes: parameters, never content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import msgspec

from .._core.payload import Fields
from . import semconv

__all__ = ["AttributeValue", "request_attributes"]

AttributeValue: TypeAlias = str | bool | int | float | tuple[str, ...]

Decoded = TypeVar("Decoded")

_MAX_TEXT = 256
_MAX_STOPS = 8


class _Format(msgspec.Struct):
    type: str | None = None


class _Reasoning(msgspec.Struct):
    effort: str | None = None


# Member of the body -> attribute and the type it must have to be told.
_MEMBERS: Mapping[str, tuple[str, type]] = {
    "temperature": ("gen_ai.request.temperature", float),
    "top_p": ("gen_ai.request.top_p", float),
    "top_k": ("gen_ai.request.top_k", int),
    "max_tokens": ("gen_ai.request.max_tokens", int),
    "max_completion_tokens": ("gen_ai.request.max_tokens", int),
    "max_output_tokens": ("gen_ai.request.max_tokens", int),
    "frequency_penalty": ("gen_ai.request.frequency_penalty", float),
    "presence_penalty": ("gen_ai.request.presence_penalty", float),
    "seed": ("gen_ai.request.seed", int),
    "reasoning_effort": (semconv.REQUEST_REASONING_LEVEL, str),
    "previous_response_id": (semconv.REQUEST_PREVIOUS_RESPONSE, str),
    "service_tier": (semconv.OPENAI_REQUEST_TIER, str),
    "n": (semconv.REQUEST_CHOICE_COUNT, int),
}
_DECODERS: Mapping[str, Callable[[msgspec.Raw], Any]] = {
    name: msgspec.json.Decoder(kind).decode for name, (_, kind) in _MEMBERS.items()
}
_decode_format = msgspec.json.Decoder(_Format).decode
_decode_reasoning = msgspec.json.Decoder(_Reasoning).decode
_decode_stops = msgspec.json.Decoder(str | list[str]).decode

_OUTPUT_TYPES = {"text": "text", "json_object": "json", "json_schema": "json"}
# Values that the convention does not want told: they say nothing.
_SILENT = {semconv.REQUEST_CHOICE_COUNT: 1, semconv.OPENAI_REQUEST_TIER: "auto"}


def request_attributes(fields: Fields) -> dict[str, AttributeValue]:
    """The parameters of a body, each if it has the type it should have."""
    found: dict[str, AttributeValue] = {}
    for name, raw in fields.items():
        if name in _MEMBERS:
            attribute = _MEMBERS[name][0]
            value = _decoded(_DECODERS[name], raw)
            if value is not None and value != _SILENT.get(attribute):
                found[attribute] = value[:_MAX_TEXT] if isinstance(value, str) else value
        elif name == "response_format":
            kind = _decoded(_decode_format, raw)
            if kind is not None and kind.type in _OUTPUT_TYPES:
                found[semconv.OUTPUT_TYPE] = _OUTPUT_TYPES[kind.type]
        elif name == "reasoning":
            reasoning = _decoded(_decode_reasoning, raw)
            if reasoning is not None and reasoning.effort is not None:
                found[semconv.REQUEST_REASONING_LEVEL] = reasoning.effort[:_MAX_TEXT]
        elif name == "stop":
            stops = _decoded(_decode_stops, raw)
            if stops:
                listed = [stops] if isinstance(stops, str) else stops[:_MAX_STOPS]
                found[semconv.REQUEST_STOP_SEQUENCES] = tuple(s[:_MAX_TEXT] for s in listed)
    return found


def _decoded(decode: Callable[[msgspec.Raw], Decoded], raw: msgspec.Raw) -> Decoded | None:
    try:
        return decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
