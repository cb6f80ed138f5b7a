"""Writes a conversation as a Responses request to a provider.

| in a turn | sent |
|---|---|
| instructions | `instructions` |
| texts of a turn | a message |
| a call, a result | an item of its own |
| an image of the assistant | an item of its own; one with a URL alone is moved to the user |
| reasoning with a proof of OpenAI's | a reasoning item |
| other reasoning | nothing: the API could not verify it |
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import msgspec
from msgspec.structs import replace

from ...._core.conversation.parts import (
    Audio,
    Document,
    Image,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from ...._core.conversation.request import Conversation, Tool, Turn
from ...._core.conversation.writing import DialectOptions, Losses, Written
from ...openai.members import shares_files, short_user, write_schema, write_tools
from ...translation.made_images import has_source, with_images_at_users
from ...translation.proofs import RESPONSES
from ...translation.texts import (
    custom_names,
    data_url,
    document_text,
    flat_parts,
    marked_error,
    text_of,
    without_none,
)
from ...translation.thinking import effort_of, is_off
from ...translation.tools import schema_of
from .hosted_items import DRAWS, has_image, image_item

__all__ = ["write_request"]


Item = dict[str, Any]


def write_request(
    conversation: Conversation, options: DialectOptions, *, model: str | None, streams: bool
) -> Written:
    """Return a conversation as the members of a Responses request.

    Nothing is stored at the provider, so each request has all of the input.

    Raises:
        UnsupportedField: The Responses API lacks a requested feature.
    """
    losses = Losses(conversation, options, "the Responses API")
    losses.refuse_choices()
    losses.drop("top_k", "stop", "seed", "frequency_penalty", "presence_penalty", "logit_bias")
    losses.drop_extra()
    conversation = with_images_at_users(conversation, losses, has_source, stays=has_image)
    reasoning = _reasoning(conversation, options, losses)
    members = without_none(
        model=model,
        instructions=text_of(conversation.system, "\n\n") or None,
        input=[*_Writer(conversation, losses).items()],
        max_output_tokens=conversation.max_tokens,
        temperature=conversation.temperature,
        top_p=conversation.top_p,
        text=_text(conversation),
        reasoning=reasoning,
        include=_include(conversation, has_reasoning=reasoning is not None) or None,
        top_logprobs=conversation.top_logprobs if conversation.logprobs else None,
        service_tier=conversation.service_tier,
        user=None if conversation.user is None else short_user(conversation.user),
        metadata=conversation.metadata,
        store=False,
    )
    members |= _tools(conversation)
    if "image" in conversation.modalities:
        members["tools"] = [*members.get("tools", ()), {"type": DRAWS}]
        if conversation.modalities == ("image",):
            members["tool_choice"] = {"type": DRAWS}
    if streams:
        members["stream"] = True
    return Written(members, losses.names)


def _include(conversation: Conversation, *, has_reasoning: bool) -> list[str]:
    """Return the members of a response that must be requested."""
    wanted = ["reasoning.encrypted_content"] if has_reasoning else []
    return [*wanted, "message.output_text.logprobs"] if conversation.logprobs else wanted


class _Writer:
    """Writes turns as items."""

    def __init__(self, conversation: Conversation, losses: Losses) -> None:
        self._conversation = conversation
        self._losses = losses

    def items(self) -> Iterator[Item]:
        for turn in self._conversation.turns:
            if turn.role == "assistant":
                yield from self._assistant(turn)
            elif turn.role == "system":
                yield {"role": "developer", "content": text_of(turn.parts, "\n\n")}
            else:
                yield from self._user(turn)

    def _user(self, turn: Turn) -> Iterator[Item]:
        for part in turn.parts:
            if isinstance(part, ToolResult):
                kind = "custom_tool_call_output" if part.is_custom else "function_call_output"
                yield {"type": kind, "call_id": part.call_id, "output": self._output(part)}
        rest = [part for part in turn.parts if not isinstance(part, ToolResult)]
        if len(rest) == 1 and isinstance(rest[0], Text):
            yield {"role": "user", "content": rest[0].text}
        elif rest:
            yield {"role": "user", "content": [self._part(part) for part in flat_parts(rest)]}

    def _output(self, result: ToolResult) -> str | list[Item]:
        parts = [*flat_parts(result.parts)]
        if all(isinstance(part, Text | Refusal) for part in parts):
            text = text_of(parts, "\n")
            return marked_error(text) if result.is_error else text
        items = [self._part(part) for part in parts]
        if not result.is_error:
            return items
        text = marked_error(text_of(parts, "\n"))
        others = [item for item in items if item["type"] != "input_text"]
        return [{"type": "input_text", "text": text}, *others]

    def _assistant(self, turn: Turn) -> Iterator[Item]:
        for part in turn.parts:
            match part:
                case Text() | Refusal():
                    if part.text:
                        yield {"role": "assistant", "content": part.text}
                case ToolCall(is_custom=True):
                    call = {"call_id": part.id, "name": part.name, "input": part.arguments}
                    yield {"type": "custom_tool_call", **call}
                case ToolCall():
                    arguments = part.arguments or "{}"
                    call = {"call_id": part.id, "name": part.name, "arguments": arguments}
                    yield {"type": "function_call", **call}
                case Image():
                    digest = sha256(part.data.encode()).hexdigest()[:32]
                    yield image_item(part, f"ig_{digest}")
                case Reasoning():
                    if (item := _reasoning_item(part)) is not None:
                        yield item
                case _:
                    pass

    def _part(self, part: Part) -> Item:
        match part:
            case Text() | Refusal():
                return {"type": "input_text", "text": part.text}
            case Image():
                self._losses.refuse_file(part.file_id)
                url = part.url or data_url(part.media_type, part.data)
                return {"type": "input_image", "image_url": url, "detail": part.detail or "auto"}
            case Document():
                return self._document(part)
            case Audio():
                self._losses.refuse("input_audio")
        raise TypeError(f"{type(part).__name__} is not part of a user's message")

    def _document(self, part: Document) -> Item:
        if part.text:
            return {"type": "input_text", "text": document_text(part)}
        if part.file_id and shares_files(self._conversation):
            return {"type": "input_file", "file_id": part.file_id}
        self._losses.refuse_file(part.file_id)
        if part.url:
            return {"type": "input_file", "file_url": part.url}
        data = data_url(part.media_type, part.data)
        return {"type": "input_file", "filename": part.title or "document.pdf", "file_data": data}


def _reasoning_item(part: Reasoning) -> Item | None:
    """Return reasoning that OpenAI can verify; a foreign proof would be refused."""
    if part.proof is None or part.proof.dialect != RESPONSES:
        return None
    id = part.id or "rs_" + sha256(part.proof.value.encode()).hexdigest()[:32]
    summary = [{"type": "summary_text", "text": part.text}] if part.text else []
    sealed = part.proof.value
    return {"type": "reasoning", "id": id, "summary": summary, "encrypted_content": sealed}


def _reasoning(
    conversation: Conversation, options: DialectOptions, losses: Losses
) -> dict[str, Any] | None:
    thinking = conversation.thinking
    if thinking is None or (is_off(thinking) and thinking.effort is None):
        return None
    if options.thinking == "off":
        losses.drop("thinking")
        return None
    summary = "auto" if thinking.shows else None
    return without_none(effort=effort_of(thinking), summary=summary) or None


def _text(conversation: Conversation) -> dict[str, Any] | None:
    output = conversation.output
    form: dict[str, Any] | None = None
    if output is not None and output.schema:
        form = {"type": "json_schema", **write_schema(output)}
    elif output is not None:
        form = {"type": "json_object"}
    return without_none(format=form, verbosity=conversation.verbosity) or None


def _tools(conversation: Conversation) -> dict[str, Any]:
    custom = custom_names(conversation)

    def chosen(name: str) -> dict[str, Any]:
        return {"type": "custom" if name in custom else "function", "name": name}

    choice = conversation.tool_choice
    if choice is None or not choice.allowed:
        return write_tools(conversation, _tool, chosen)
    members = write_tools(replace(conversation, tool_choice=None), _tool, chosen)
    allowed = {
        "type": "allowed_tools",
        "mode": choice.mode,
        "tools": list(map(chosen, choice.allowed)),
    }
    return members | {"tool_choice": allowed}


def _tool(tool: Tool) -> Item:
    description = tool.description or None
    if tool.is_custom:
        grammar = msgspec.Raw(tool.grammar) if tool.grammar else None
        return without_none(type="custom", name=tool.name, description=description, format=grammar)
    return without_none(
        type="function",
        name=tool.name,
        description=description,
        parameters=schema_of(tool),
        strict=tool.strict is True,  # the API's own default is strict, which refuses many schemas
    )
