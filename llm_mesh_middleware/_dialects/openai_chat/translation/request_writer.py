"""Writes a conversation as a chat completion request to a provider.

| in a turn | sent |
|---|---|
| texts of the assistant between calls | one content before the calls: the API has no other order |
| a result of a tool | a message of the tool, its texts joined |
| a result that is an error | the same with a prefix: the API has no flag |
| an image in a result | a message of the user after the last result |
| an image of the assistant | the next message of the user: OpenAI refuses unknown members |
| reasoning | nothing, or `reasoning_content` if so configured |
| reasoning, a call with proofs of this provider | the members that it has given (`vendor_proofs`) |
| instructions after the first turn | a text of the user, unless the provider accepts them |
| consecutive turns of the user | one message: many models' templates require alternating roles |
| a custom tool | a function with one text, `input` |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

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
from ...._core.conversation.request import Conversation, OutputFormat, Tool, Turn
from ...._core.conversation.writing import DialectOptions, Losses, Written
from ...openai.members import shares_files, short_user, write_schema, write_tools
from ...translation.made_images import has_source, with_images_at_users
from ...translation.texts import (
    arguments_of,
    data_url,
    document_text,
    flat_parts,
    marked_error,
    text_of,
    without_none,
)
from ...translation.thinking import effort_of, is_off
from ...translation.tools import describe, schema_of
from .vendor_proofs import write_details, write_extra

__all__ = ["write_request"]

# The most choices that OpenAI makes.
_MAX_CHOICES = 128


def write_request(
    conversation: Conversation, options: DialectOptions, *, model: str | None, streams: bool
) -> Written:
    """Return a conversation as the members of a chat completion request.

    Raises:
        UnsupportedField: Chat completions lack a requested feature.
    """
    losses = Losses(conversation, options, "chat completions")
    losses.refuse_choices(_MAX_CHOICES)
    losses.drop("top_k")
    losses.drop_extra()
    conversation = with_images_at_users(conversation, losses, has_source)
    writer = _MessageWriter(conversation, options, losses)
    members = without_none(
        model=model,
        messages=list(writer.messages()),
        temperature=conversation.temperature,
        top_p=conversation.top_p,
        stop=list(conversation.stop) or None,
        seed=conversation.seed,
        frequency_penalty=conversation.frequency_penalty,
        presence_penalty=conversation.presence_penalty,
        logit_bias=conversation.logit_bias,
        n=conversation.n if (conversation.n or 1) > 1 else None,
        logprobs=conversation.logprobs or None,
        top_logprobs=conversation.top_logprobs if conversation.logprobs else None,
        verbosity=conversation.verbosity,
        modalities=list(conversation.modalities) if conversation.modalities else None,
        service_tier=conversation.service_tier,
        user=None if conversation.user is None else short_user(conversation.user),
        reasoning_effort=_effort(conversation, options, losses),
        response_format=None if conversation.output is None else _output(conversation.output),
        **{options.max_tokens_field: conversation.max_tokens},
    )
    members |= write_tools(conversation, _tool, _chosen)
    if streams:
        members["stream"] = True
    return Written(members, losses.names)


class _MessageWriter:
    """Writes turns as messages."""

    def __init__(self, conversation: Conversation, options: DialectOptions, losses: Losses) -> None:
        self._sends_reasoning = options.sends_reasoning
        self._host = options.host
        self._has_late_system = options.has_late_system
        self._conversation = conversation
        self._losses = losses

    def messages(self) -> Iterator[dict[str, Any]]:
        conversation = self._conversation
        if text := text_of(conversation.system, "\n\n"):
            yield {"role": "system", "content": text}
        user_parts: list[Part] | None = None  # by the user since the assistant's last turn
        for turn in conversation.turns:
            if turn.role == "user" or (turn.role == "system" and not self._has_late_system):
                rest: list[Part] = []
                yield from self._results(turn, rest)
                if rest or not turn.parts:
                    user_parts = [*(user_parts or ()), *rest]
                continue
            yield from self._user(user_parts)
            user_parts = None
            if turn.role == "assistant":
                yield self._assistant(turn)
            else:
                yield {"role": "system", "content": text_of(turn.parts, "\n\n")}
        yield from self._user(user_parts)

    def _results(self, turn: Turn, rest: list[Part]) -> Iterator[dict[str, Any]]:
        """Yield each result as a message of text, and collect the parts for the next message."""
        for part in turn.parts:
            if isinstance(part, ToolResult):
                content, others = _result(part)
                yield {"role": "tool", "tool_call_id": part.call_id, "content": content}
                rest += others
        rest += [part for part in turn.parts if not isinstance(part, ToolResult)]

    def _user(self, user_parts: list[Part] | None) -> Iterator[dict[str, Any]]:
        if user_parts is not None:
            yield {"role": "user", "content": self._content(user_parts)}

    def _assistant(self, turn: Turn) -> dict[str, Any]:
        text = text_of(turn.parts)
        calls = [self._call(part) for part in turn.parts if isinstance(part, ToolCall)]
        message: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else "")}
        if calls:
            message["tool_calls"] = calls
        if details := write_details(turn.parts, self._host):
            message["reasoning_details"] = details
        elif self._sends_reasoning:
            thoughts = [part.text for part in turn.parts if isinstance(part, Reasoning)]
            if any(thoughts):
                message["reasoning_content"] = "".join(thoughts)
        return message

    def _call(self, call: ToolCall) -> dict[str, Any]:
        function = {"name": call.name, "arguments": arguments_of(call) or "{}"}
        written: dict[str, Any] = {"id": call.id, "type": "function", "function": function}
        if (extra := write_extra(call.proof, self._host)) is not None:
            written["extra_content"] = extra
        return written

    def _content(self, parts: Sequence[Part]) -> str | list[dict[str, Any]]:
        if len(parts) == 1 and isinstance(parts[0], Text):
            return parts[0].text
        return [self._part(part) for part in flat_parts(parts)]

    def _part(self, part: Part) -> dict[str, Any]:
        match part:
            case Text() | Refusal():
                return {"type": "text", "text": part.text}
            case Image():
                self._losses.refuse_file(part.file_id)
                url = part.url or data_url(part.media_type, part.data)
                return {"type": "image_url", "image_url": without_none(url=url, detail=part.detail)}
            case Audio():
                data = {"data": part.data, "format": part.format}
                return {"type": "input_audio", "input_audio": data}
            case Document():
                return self._document(part)
        raise TypeError(f"{type(part).__name__} is not part of a user's message")

    def _document(self, part: Document) -> dict[str, Any]:
        if part.text:
            return {"type": "text", "text": document_text(part)}
        if part.file_id and shares_files(self._conversation):
            return {"type": "file", "file": {"file_id": part.file_id}}
        self._losses.refuse_file(part.file_id)
        if part.url:
            self._losses.refuse("document", "by URL cannot be translated to chat completions")
        file = {"filename": part.title or "document.pdf"}
        return {"type": "file", "file": file | {"file_data": data_url(part.media_type, part.data)}}


def _result(result: ToolResult) -> tuple[str, list[Part]]:
    """Return a result as text, and the parts that a tool's message cannot contain."""
    texts: list[str] = []
    others: list[Part] = []
    for part in flat_parts(result.parts):
        if isinstance(part, Text | Refusal):
            texts.append(part.text)
        elif isinstance(part, Document) and part.text:
            texts.append(document_text(part))
        else:
            others.append(part)
    text = "\n".join(texts)
    return marked_error(text) if result.is_error else text, others


def _tool(tool: Tool) -> dict[str, Any]:
    function = without_none(
        name=tool.name,
        description=describe(tool),
        parameters=schema_of(tool),
        strict=tool.strict,
    )
    return {"type": "function", "function": function}


def _chosen(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def _effort(conversation: Conversation, options: DialectOptions, losses: Losses) -> str | None:
    thinking = conversation.thinking
    if thinking is None:
        return None
    if options.thinking == "off":
        if not is_off(thinking):
            losses.drop("thinking")
        return None
    return effort_of(thinking)


def _output(output: OutputFormat) -> dict[str, Any]:
    if not output.schema:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": write_schema(output)}
