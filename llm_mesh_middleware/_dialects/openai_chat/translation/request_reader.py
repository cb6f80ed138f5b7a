"""Reads a client's chat completion request into the neutral form.

| message | turn |
|---|---|
| system, developer before all others | instructions |
| system, developer later | a turn of its own |
| tool, one or several | results at the beginning of the user's next turn |
| assistant | its reasoning, texts, images and calls, in this order |
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from ...._core.conversation.parts import (
    Audio,
    Document,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from ...._core.conversation.request import (
    Conversation,
    OutputFormat,
    Thinking,
    Tool,
    ToolChoice,
    Turn,
)
from ...._core.values.payload import Fields
from ...openai.members import cache_of, read_mode
from ...translation.proofs import ANTHROPIC, open_proof
from ...translation.requests import BodyDecoder, malformed, raw_member, unsupported
from ...translation.texts import json_object, read_data_url
from .media import read_images, read_url
from .shapes import Call, Content, CustomFormat, Message, PartMember, Request, ToolMember

__all__ = ["read_request"]

_decode = BodyDecoder(Request)

_SYSTEM = ("system", "developer")
# Members without an effect that a client could see.
_QUIET = frozenset(
    (
        "metadata",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "store",
        "stream_options",
        "user",
    )
)
_NAMES = {
    "output": "response_format",
    "thinking": "reasoning_effort",
    "turns": "messages",
}
_NEWER_NAMES = {**_NAMES, "max_tokens": "max_completion_tokens"}
_MODALITIES = frozenset(("text", "image"))
# Members that are refused unless they are empty; of `modalities`, all but text and images.
_REFUSED = frozenset(("audio", "function_call", "functions", "modalities", "web_search_options"))


def read_request(fields: Fields) -> Conversation:
    """Return a request in the neutral form.

    Raises:
        MalformedRequest: It is not a chat completion request.
        UnsupportedField: A member cannot be translated.
    """
    body, extra = _decode(fields)
    if not _REFUSED.isdisjoint(fields):
        _refuse_untranslatable(body)
    lost: list[str] = []
    system, turns = _read_messages(body.messages, lost)
    stop = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    effort = body.reasoning_effort
    return Conversation(
        dialect="openai.chat",
        model=body.model,
        stream=body.stream is True,
        include_usage=body.stream_options is not None and body.stream_options.include_usage is True,
        system=system,
        turns=turns,
        tools=tuple(_read_tools(body.tools)),
        tool_choice=_read_choice(body),
        parallel_tool_calls=body.parallel_tool_calls,
        max_tokens=body.max_completion_tokens or body.max_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        stop=stop,
        seed=body.seed,
        frequency_penalty=body.frequency_penalty,
        presence_penalty=body.presence_penalty,
        logit_bias=fields["logit_bias"] if body.logit_bias else None,
        n=body.n,
        logprobs=body.logprobs,
        top_logprobs=body.top_logprobs,
        output=_read_output(body),
        thinking=None if effort is None else Thinking(effort=effort, shows=True),
        verbosity=body.verbosity,
        modalities=_modalities(body.modalities) if body.modalities else (),
        service_tier=body.service_tier,
        user=body.safety_identifier or body.user,
        metadata=fields["metadata"] if body.metadata else None,
        extra=extra,
        quiet=_QUIET,
        lost=tuple(lost),
        names=_NAMES if body.max_completion_tokens is None else _NEWER_NAMES,
    )


def _refuse_untranslatable(body: Request) -> None:
    for name in ("functions", "function_call"):
        if raw_member(getattr(body, name)):
            raise unsupported(name, "cannot be translated; use tools")
    for name in ("audio", "web_search_options"):
        if raw_member(getattr(body, name)):
            raise unsupported(name, "cannot be translated")
    if not _MODALITIES.issuperset(body.modalities or ()):
        raise unsupported("modalities", "can be translated for text and images only")


def _modalities(given: list[str]) -> tuple[str, ...]:
    """Return what the answer may contain; nothing stands for texts alone."""
    return () if given == ["text"] else tuple(given)


def _read_messages(
    messages: list[Message], lost: list[str]
) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    """Return the leading instructions, and the turns after them."""
    system: list[Text] = []
    turns: list[Turn] = []
    results: list[Part] = []
    names: dict[str, tuple[str, bool]] = {}
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if message.role == "tool":
            results.append(_read_result(message, names, where))
            continue
        parts = tuple(_read_content(message.content, where))
        if results and message.role != "user":
            turns.append(Turn("user", tuple(results)))
            results = []
        if message.role in _SYSTEM:
            if turns:
                turns.append(Turn("system", parts))
            else:
                system += [part for part in parts if isinstance(part, Text)]
        elif message.role == "user":
            turns.append(Turn("user", (*results, *parts)))
            results = []
        elif message.role == "assistant":
            if message.audio is not None:  # an id that its own provider knows
                lost.append("messages.audio")
            turns.append(Turn("assistant", tuple(_read_assistant(message, parts, names, where))))
        else:
            raise malformed(f"{where}.role", f"{message.role!r} is not a role that is translated")
    if results:
        turns.append(Turn("user", tuple(results)))
    return tuple(system), tuple(turns)


def _read_result(message: Message, names: dict[str, tuple[str, bool]], where: str) -> ToolResult:
    call_id = message.tool_call_id
    if not call_id:
        raise malformed(f"{where}.tool_call_id", "is required of a tool's message")
    name, is_custom = names.get(call_id, ("", False))
    parts = tuple(_read_content(message.content, where))
    return ToolResult(call_id, parts, name, is_custom=is_custom)


def _read_assistant(
    message: Message, parts: tuple[Part, ...], names: dict[str, tuple[str, bool]], where: str
) -> Iterator[Part]:
    if raw_member(message.function_call):
        raise unsupported(f"{where}.function_call", "cannot be translated; use tool_calls")
    yield from _read_reasoning(message)
    yield from parts
    if message.refusal:
        yield Refusal(message.refusal)
    if message.images:
        yield from read_images(message.images)
    for index, call in enumerate(message.tool_calls or ()):
        read = _read_call(call, f"{where}.tool_calls[{index}]")
        names[read.id] = (read.name, read.is_custom)
        yield read


def _read_reasoning(message: Message) -> Iterator[Part]:
    for block in message.thinking_blocks or ():
        sealed = block.data or block.signature or ""
        proof, is_redacted = open_proof(sealed, native=ANTHROPIC)
        yield Reasoning(block.thinking, proof, is_redacted or bool(block.data))
    if message.reasoning_content and not message.thinking_blocks:
        yield Reasoning(message.reasoning_content)


def _read_call(call: Call, where: str) -> ToolCall:
    proof = None if call.extra_content is None else call.extra_content.proof
    if call.custom is not None:
        return ToolCall(call.id, call.custom.name, call.custom.input, True, proof)
    if call.function is None:
        raise malformed(f"{where}.function", "is required")
    arguments = call.function.arguments or "{}"
    if json_object(arguments) is None:
        raise malformed(f"{where}.function.arguments", "is not a JSON object")
    return ToolCall(call.id, call.function.name, arguments, False, proof)


def _read_content(content: Content, where: str) -> Iterator[Part]:
    if content is None:
        return
    if isinstance(content, str):
        yield Text(content)
        return
    for index, part in enumerate(content):
        yield _read_part(part, f"{where}.content[{index}]")


def _read_part(part: PartMember, where: str) -> Part:
    cache = cache_of(part.prompt_cache_breakpoint)
    if part.cache_control is not None:
        cache = part.cache_control.ttl or ""
    match part.type:
        case "text":
            return Text(part.text, cache)
        case "refusal":
            return Refusal(part.refusal)
        case "image_url" if part.image_url is not None:
            image = read_url(part.image_url)
            return image if cache is None else msgspec.structs.replace(image, cache=cache)
        case "input_audio" if part.input_audio is not None:
            return Audio(part.input_audio.format, part.input_audio.data, cache)
        case "file" if part.file is not None:
            file = part.file
            found = read_data_url(file.file_data or "") or ("application/pdf", file.file_data or "")
            id, title = file.file_id or "", file.filename or ""
            return Document(*found, file_id=id, title=title, cache=cache)
    raise malformed(where, f"{part.type!r} is not a part that is translated")


def _read_tools(tools: list[ToolMember] | None) -> Iterator[Tool]:
    for index, tool in enumerate(tools or ()):
        cache = None if tool.cache_control is None else tool.cache_control.ttl or ""
        if tool.function is not None:
            function = tool.function
            schema = raw_member(function.parameters)
            description = function.description or ""
            yield Tool(function.name, description, schema, function.strict, cache=cache)
        elif tool.custom is not None:
            custom = tool.custom
            grammar = _grammar(custom.format)
            yield Tool(custom.name, custom.description or "", is_custom=True, grammar=grammar)
        else:
            raise malformed(f"tools[{index}]", "is neither a function nor a custom tool")


def _grammar(form: CustomFormat | None) -> bytes:
    """Return the format of a custom tool's input in the neutral form: one object."""
    if form is None or form.grammar is None:
        return b""
    return msgspec.json.encode({"type": form.type, **msgspec.structs.asdict(form.grammar)})


def _read_choice(body: Request) -> ToolChoice | None:
    choice = body.tool_choice
    if choice is None:
        return None
    if isinstance(choice, str):
        return read_mode(choice)
    if choice.allowed_tools is not None:
        mode: Literal["auto", "required"] = (
            "required" if choice.allowed_tools.mode == "required" else "auto"
        )
        named: list[Any] = [tool.function or tool.custom for tool in choice.allowed_tools.tools]
        return ToolChoice(mode, allowed=tuple(tool.name for tool in named if tool))
    name = choice.function or choice.custom
    if name is None:
        raise malformed("tool_choice", "names no tool")
    return ToolChoice("tool", name.name)


def _read_output(body: Request) -> OutputFormat | None:
    form = body.response_format
    if form is None or form.type == "text":
        return None
    schema = form.json_schema
    if form.type == "json_schema" and schema is not None:
        given = raw_member(schema.schema) or b"{}"
        return OutputFormat(given, schema.name, schema.description or "", schema.strict)
    return OutputFormat()
