"""Reads a client's `generateContent` request into the neutral form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec.structs import replace

from ...._core.conversation.parts import Image
from ...._core.conversation.request import (
    Conversation,
    OutputFormat,
    Thinking,
    Tool,
    ToolChoice,
    Turn,
)
from ...._core.dialect import ServedOperation
from ...._core.values.messages import ClientRequest
from ...._core.values.payload import Fields
from ...translation.requests import BodyDecoder, malformed, raw_member, unsupported
from . import request_shapes as shapes
from .schemas import json_schema
from .spelling import camel_case
from .turns_reader import read_system, read_turns

__all__ = ["IN_ARRAY", "read_request"]

# The member of `echo` for a client that requested a stream as one JSON array.
IN_ARRAY = "array"

_CONFIG = "generationConfig"
_NAMES = {
    "max_tokens": f"{_CONFIG}.maxOutputTokens",
    "temperature": f"{_CONFIG}.temperature",
    "top_p": f"{_CONFIG}.topP",
    "top_k": f"{_CONFIG}.topK",
    "stop": f"{_CONFIG}.stopSequences",
    "seed": f"{_CONFIG}.seed",
    "n": f"{_CONFIG}.candidateCount",
    "logprobs": f"{_CONFIG}.responseLogprobs",
    "frequency_penalty": f"{_CONFIG}.frequencyPenalty",
    "presence_penalty": f"{_CONFIG}.presencePenalty",
    "images": "inlineData",
    "modalities": f"{_CONFIG}.responseModalities",
    "output": f"{_CONFIG}.responseMimeType",
    "thinking": f"{_CONFIG}.thinkingConfig",
    "service_tier": "serviceTier",
    "turns": "contents",
}
_QUIET = frozenset(("labels", "model", "store"))
_DETAILS = {"MEDIA_RESOLUTION_HIGH": "high", "MEDIA_RESOLUTION_LOW": "low"}
_TIERS = {"standard": "default"}
_MODALITIES = {"TEXT": "text", "IMAGE": "image"}
_UNSPECIFIED = "UNSPECIFIED"
_DYNAMIC = -1

_decode = BodyDecoder(shapes.Request)
_decode_config = BodyDecoder(shapes.Generation)
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_request(request: ClientRequest) -> Conversation:
    """Return a request in the neutral form.

    Raises:
        MalformedRequest: It is not a request of the Gemini API.
        UnsupportedField: A member cannot be translated.
    """
    body, extra = _decode(camel_case(request.fields))
    if body.cached_content:
        raise unsupported("cachedContent", "is known to its own provider only")
    config, others = _read_config(body.generation_config)
    lost = [f"{_CONFIG}.{name}" for name in others]
    operation = request.operation
    is_stream = isinstance(operation, ServedOperation) and operation.streams is True
    has_events = isinstance(operation, ServedOperation) and operation.wants_stream(request)
    contents = body.contents if isinstance(body.contents, list) else [body.contents]
    top_k = config.top_k
    return Conversation(
        dialect="gcp.gemini",
        model=request.model,
        stream=has_events,
        include_usage=True,
        system=tuple(read_system(body.system_instruction)),
        turns=tuple(_in_detail(read_turns(contents), config.media_resolution)),
        tools=tuple(_read_tools(body.tools or [], lost)),
        tool_choice=_read_choice(body.tool_config),
        max_tokens=config.max_output_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=None if top_k is None else int(top_k),
        stop=tuple(config.stop_sequences or ()),
        seed=config.seed,
        n=config.candidate_count,
        frequency_penalty=config.frequency_penalty,
        presence_penalty=config.presence_penalty,
        logprobs=config.response_logprobs,
        top_logprobs=config.logprobs,
        output=_read_output(config),
        modalities=_read_modalities(given) if (given := config.response_modalities) else (),
        thinking=_read_thinking(config.thinking_config),
        service_tier=_TIERS.get(body.service_tier or "", body.service_tier),
        extra=extra,
        quiet=_QUIET,
        names=_NAMES,
        lost=tuple(lost),
        echo={IN_ARRAY: msgspec.Raw(b"true")} if is_stream and not has_events else {},
    )


def _in_detail(turns: Iterable[Turn], resolution: str | None) -> Iterator[Turn]:
    """Yield the turns, their images with the requested detail."""
    detail = _DETAILS.get(resolution or "")
    if detail is None:
        yield from turns
        return
    for turn in turns:
        parts = (
            replace(part, detail=detail) if isinstance(part, Image) else part for part in turn.parts
        )
        yield replace(turn, parts=tuple(parts))


def _read_config(config: shapes.Raw) -> tuple[shapes.Generation, Sequence[str]]:
    """Return the known members of the configuration, and the names of the others."""
    if config is msgspec.UNSET or config == msgspec.Raw(b"null"):
        return shapes.Generation(), ()
    try:
        members: Fields = _decode_members(config)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise malformed(_CONFIG, "is not an object") from None
    known, others = _decode_config(members)
    return known, tuple(others)


def _schema(json: shapes.Raw, openapi: shapes.Raw, where: str) -> bytes:
    """Return the schema, which may be in either of two schema languages."""
    if schema := raw_member(json):
        return schema
    given = raw_member(openapi)
    return json_schema(given, where) if given else b""


def _read_tools(tools: Sequence[shapes.Tool], lost: list[str]) -> Iterator[Tool]:
    """Yield the functions; a tool that runs at the provider is dropped if there are any."""
    has_functions = any(tool.function_declarations for tool in tools)
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        if tool.function_declarations is None:
            if not has_functions:
                raise unsupported(where, "runs at its own provider only")
            lost.append(where)
        for at, declared in enumerate(tool.function_declarations or ()):
            place = f"{where}.functionDeclarations[{at}].parameters"
            schema = _schema(declared.parameters_json_schema, declared.parameters, place)
            yield Tool(declared.name, declared.description or "", schema)


def _read_choice(config: shapes.ToolConfig | None) -> ToolChoice | None:
    calling = config and config.function_calling_config
    if not calling or calling.mode is None:
        return None
    names = tuple(calling.allowed_function_names or ())
    match calling.mode.upper():
        case "NONE":
            return ToolChoice("none")
        case "ANY" if len(names) == 1:
            return ToolChoice("tool", names[0])
        case "ANY":
            return ToolChoice("required", allowed=names)
    return ToolChoice("auto", allowed=names)


def _read_output(config: shapes.Generation) -> OutputFormat | None:
    where = f"{_CONFIG}.responseSchema"
    schema = _schema(config.response_json_schema, config.response_schema, where)
    if schema:
        return OutputFormat(schema, name="output")
    return OutputFormat() if config.response_mime_type == "application/json" else None


def _read_modalities(given: Sequence[str]) -> tuple[str, ...]:
    read: dict[str, None] = {}
    for one in map(str.upper, given):
        if one in _MODALITIES:
            read[_MODALITIES[one]] = None
        elif not one.endswith(_UNSPECIFIED):
            what = "requests more than texts and images"
            raise unsupported(f"{_CONFIG}.responseModalities", what)
    return () if read.keys() <= {"text"} else tuple(read)


def _read_thinking(config: shapes.Thinking | None) -> Thinking | None:
    if config is None:
        return None
    budget, level = config.thinking_budget, config.thinking_level
    return Thinking(
        effort=None if level is None or level.endswith(_UNSPECIFIED) else level.lower(),
        budget=None if budget == _DYNAMIC else budget,
        is_adaptive=budget == _DYNAMIC,
        shows=config.include_thoughts is True,
    )
