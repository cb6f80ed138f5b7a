"""The parameters of a request as span attributes, never its content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import msgspec

from ..._core.values.payload import Fields
from .. import semconv

__all__ = ["PARAMETERS", "AttributeValue", "request_attributes"]

AttributeValue: TypeAlias = str | bool | int | float | tuple[str, ...]

Decoded = TypeVar("Decoded")

_MAX_TEXT = 256
_MAX_STOPS = 8


class _Format(msgspec.Struct):
    type: str | None = None


class _Reasoning(msgspec.Struct):
    effort: str | None = None


class _Text(msgspec.Struct):
    format: _Format | None = None


class _Conversation(msgspec.Struct):
    id: str


class _Prompt(msgspec.Struct):
    id: str
    version: str | None = None


def _decoder(kind: Any) -> Callable[[msgspec.Raw], Any]:
    return msgspec.json.Decoder(kind).decode


# Member of the body -> attribute, and the type that it must have to be recorded.
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
    "stream": (semconv.REQUEST_STREAM, bool),
}
_DECODERS: Mapping[str, Callable[[msgspec.Raw], Any]] = {
    name: _decoder(kind) for name, (_, kind) in _MEMBERS.items()
}

# Parameters of the Gemini API, which are members of one object, by the names above.
_CONFIG = "generationConfig"
_IN_CONFIG = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "maxOutputTokens": "max_output_tokens",
    "stopSequences": "stop",
    "frequencyPenalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
    "seed": "seed",
    "candidateCount": "n",
}
_decode_config: Callable[[msgspec.Raw], Fields] = msgspec.json.Decoder(Fields).decode

_PROMPT = "prompt"
_decode_prompt: Callable[[msgspec.Raw], _Prompt] = msgspec.json.Decoder(_Prompt).decode

_OUTPUT_TYPES = {"text": "text", "json_object": "json", "json_schema": "json"}
# Default values, which the convention leaves out.
_DEFAULT_VALUES = {
    semconv.REQUEST_CHOICE_COUNT: 1,
    semconv.REQUEST_STREAM: False,
    semconv.OPENAI_REQUEST_TIER: "auto",
}


def request_attributes(fields: Fields) -> dict[str, AttributeValue]:
    """Return the parameters of a body that have the right type."""
    found: dict[str, AttributeValue] = {}
    for name, raw in fields.items():
        if name in _MEMBERS:
            attribute = _MEMBERS[name][0]
            value = _decoded(_DECODERS[name], raw)
            if value is not None and value != _DEFAULT_VALUES.get(attribute):
                found[attribute] = value[:_MAX_TEXT] if isinstance(value, str) else value
        elif name in _READERS:
            attribute, decode, read = _READERS[name]
            decoded = _decoded(decode, raw)
            value = read(decoded) if decoded is not None else None
            if value:
                found[attribute] = value
    if _PROMPT in fields:
        _add_prompt(found, fields[_PROMPT])
    if _CONFIG in fields:
        config = _decoded(_decode_config, fields[_CONFIG]) or {}
        named = {_IN_CONFIG[name]: raw for name, raw in config.items() if name in _IN_CONFIG}
        found |= request_attributes(named)
    return found


def _add_prompt(found: dict[str, AttributeValue], raw: msgspec.Raw) -> None:
    """Add a reference to a stored prompt; a prompt text, as in completions, is content."""
    prompt = _decoded(_decode_prompt, raw)
    if prompt is None:
        return
    found[semconv.PROMPT_NAME] = prompt.id[:_MAX_TEXT]
    if prompt.version is not None:
        found[semconv.PROMPT_VERSION] = prompt.version[:_MAX_TEXT]


def _output_type(wanted: _Format) -> str | None:
    return _OUTPUT_TYPES.get(wanted.type or "")


def _stops(given: str | list[str]) -> tuple[str, ...]:
    listed = [given] if isinstance(given, str) else given[:_MAX_STOPS]
    return tuple(stop[:_MAX_TEXT] for stop in listed)


# Members that are not plain values -> attribute, decoder, reader of the decoded value.
_READERS: Mapping[str, tuple[str, Callable[[msgspec.Raw], Any], Callable[[Any], Any]]] = {
    "response_format": (semconv.OUTPUT_TYPE, _decoder(_Format), _output_type),
    "text": (
        semconv.OUTPUT_TYPE,
        _decoder(_Text),
        lambda text: _output_type(text.format) if text.format is not None else None,
    ),
    "modalities": (
        semconv.OUTPUT_TYPE,
        _decoder(list[str]),
        lambda kinds: "speech" if "audio" in kinds else None,
    ),
    "reasoning": (
        semconv.REQUEST_REASONING_LEVEL,
        _decoder(_Reasoning),
        lambda reasoning: (reasoning.effort or "")[:_MAX_TEXT],
    ),
    "conversation": (
        semconv.CONVERSATION,
        _decoder(str | _Conversation),
        lambda given: (given if isinstance(given, str) else given.id)[:_MAX_TEXT],
    ),
    "stop": (semconv.REQUEST_STOP_SEQUENCES, _decoder(str | list[str]), _stops),
    "stop_sequences": (semconv.REQUEST_STOP_SEQUENCES, _decoder(list[str]), _stops),
    "output_config": (
        semconv.REQUEST_REASONING_LEVEL,
        _decoder(_Reasoning),
        lambda config: (config.effort or "")[:_MAX_TEXT],
    ),
}

PARAMETERS = frozenset((*_MEMBERS, *_READERS, _PROMPT, _CONFIG))
"""The members of a body that may have an attribute."""


def _decoded(decode: Callable[[msgspec.Raw], Decoded], raw: msgspec.Raw) -> Decoded | None:
    try:
        return decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
