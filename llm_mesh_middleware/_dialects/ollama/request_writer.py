"""Writes a conversation as a request to Ollama's chat API.

| in a turn | sent |
|---|---|
| instructions after the first turn | a message of the user: many models' templates reject others |
| an image | base64 in the message of its text, also of a tool's |
| an image of the assistant | the next message of the user |
| a result that is an error | its text with a prefix: the API has no flag |
| reasoning | `thinking`, unless it has a proof of another dialect |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ..._core.conversation.parts import (
    Document,
    Image,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from ..._core.conversation.request import Conversation, Tool
from ..._core.conversation.writing import DialectOptions, Losses, Written
from ..translation.made_images import with_images_at_users
from ..translation.texts import (
    arguments_of,
    document_text,
    flat_parts,
    json_object,
    marked_error,
    text_of,
    without_none,
)
from ..translation.thinking import effort_of, is_off
from ..translation.tools import describe, object_schema, offered_tools

__all__ = ["write_request"]

_USUAL_TIERS = (None, "auto", "default")
_LEVELS = {"minimal": "low", "low": "low", "medium": "medium"}  # more is high


def write_request(
    conversation: Conversation, options: DialectOptions, *, model: str | None, streams: bool
) -> Written:
    """Return a conversation as the members of a chat request.

    Raises:
        UnsupportedField: Ollama lacks a requested feature.
    """
    losses = Losses(conversation, options, "Ollama's chat API")
    losses.refuse_choices()
    losses.drop("logit_bias", "verbosity")
    if conversation.service_tier not in _USUAL_TIERS:
        losses.drop("service_tier")
    losses.drop_extra()
    if conversation.modalities:
        losses.refuse(conversation.name_of("modalities"))
    conversation = with_images_at_users(conversation, losses, _has_data)
    tools = _tools(conversation, losses)
    members = without_none(
        model=model,
        messages=list(_messages(conversation, losses)),
        stream=streams,  # the API streams by default
        tools=list(map(_tool, tools)) or None,
        format=_format(conversation),
        think=_think(conversation, options, losses),
        logprobs=conversation.logprobs or None,
        top_logprobs=conversation.top_logprobs if conversation.logprobs else None,
        options={**options.own, **_options(conversation)} or None,
    )
    return Written(members, losses.names)


def _options(conversation: Conversation) -> dict[str, Any]:
    return without_none(
        temperature=conversation.temperature,
        top_p=conversation.top_p,
        top_k=conversation.top_k,
        num_predict=conversation.max_tokens,
        stop=list(conversation.stop) or None,
        seed=conversation.seed,
        frequency_penalty=conversation.frequency_penalty,
        presence_penalty=conversation.presence_penalty,
    )


def _messages(conversation: Conversation, losses: Losses) -> Iterator[dict[str, Any]]:
    if text := text_of(conversation.system, "\n\n"):
        yield {"role": "system", "content": text}
    for turn in conversation.turns:
        if turn.role == "assistant":
            yield _assistant(turn.parts, losses)
            continue
        results = [part for part in turn.parts if isinstance(part, ToolResult)]
        for result in results:
            yield _result(result, losses)
        others = [part for part in turn.parts if not isinstance(part, ToolResult)]
        if others or not results:
            yield _message("user", others, losses)


def _message(role: str, parts: Iterable[Part], losses: Losses) -> dict[str, Any]:
    """Return a message of texts and images."""
    texts: list[str] = []
    images: list[str] = []
    for part in flat_parts(parts):
        match part:
            case Text(text) | Refusal(text):
                texts.append(text)
            case Image():
                images.append(_image(part, losses))
            case Document():
                texts.append(_document(part, losses))
            case _:
                losses.refuse("input_audio")
    message: dict[str, Any] = {"role": role, "content": "\n".join(texts)}
    return message | ({"images": images} if images else {})


def _has_data(image: Image) -> bool:
    return bool(image.data)


def _image(image: Image, losses: Losses) -> str:
    if not image.data:
        losses.refuse("image_url", "must hold the image itself: Ollama fetches none")
    return image.data


def _document(document: Document, losses: Losses) -> str:
    if not document.text:
        losses.refuse("file", "must be plain text: Ollama reads no other document")
    return document_text(document)


def _result(result: ToolResult, losses: Losses) -> dict[str, Any]:
    message = _message("tool", result.parts, losses)
    if result.is_error:
        message["content"] = marked_error(message["content"])
    named = {"tool_name": result.name} if result.name else {}
    return message | named | {"tool_call_id": result.call_id}


def _assistant(parts: Iterable[Part], losses: Losses) -> dict[str, Any]:
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    for part in parts:
        match part:
            case Text(text) | Refusal(text):
                texts.append(text)
            case Reasoning() if part.proof is None:
                thoughts.append(part.text)
            case ToolCall():
                calls.append(_call(part, losses))
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts)}
    if any(thoughts):
        message["thinking"] = "".join(thoughts)
    return message | ({"tool_calls": calls} if calls else {})


def _call(call: ToolCall, losses: Losses) -> dict[str, Any]:
    arguments = json_object(arguments_of(call))
    if arguments is None:
        losses.refuse_arguments(call)
    return {"id": call.id, "function": {"name": call.name, "arguments": arguments}}


def _tools(conversation: Conversation, losses: Losses) -> tuple[Tool, ...]:
    """Return the tools to offer: the API leaves the choice to the model."""
    choice, tools = conversation.tool_choice, offered_tools(conversation)
    if tools and conversation.parallel_tool_calls is False:
        losses.drop_named(conversation.name_of("parallel_tool_calls"))
    if choice is None or not tools or choice.mode == "auto":
        return tools
    if choice.mode == "none":
        return ()
    losses.drop("tool_choice")
    return tuple(tool for tool in tools if choice.mode != "tool" or tool.name == choice.name)


def _tool(tool: Tool) -> dict[str, Any]:
    function = without_none(
        name=tool.name, description=describe(tool), parameters=object_schema(tool)
    )
    return {"type": "function", "function": function}


def _format(conversation: Conversation) -> msgspec.Raw | str | None:
    output = conversation.output
    if output is None:
        return None
    return msgspec.Raw(output.schema) if output.schema else "json"


def _think(
    conversation: Conversation, options: DialectOptions, losses: Losses
) -> bool | str | None:
    """Return whether the model thinks; only some families of models have levels."""
    thinking = conversation.thinking
    if thinking is None:
        return None
    if is_off(thinking):
        return False
    if options.thinking == "off":
        losses.drop("thinking")
        return None
    if options.thinking == "adaptive" and (effort := effort_of(thinking)) is not None:
        return _LEVELS.get(effort, "high")
    return True
