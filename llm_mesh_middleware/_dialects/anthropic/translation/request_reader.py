"""A client's Messages request, in the neutral form.

| block | part |
|---|---|
| text, image, document, search_result | the part of that kind |
| tool_use, tool_result | a call and its result; results are moved before the rest of their turn |
| thinking, redacted_thinking | reasoning, its proof taken out of the envelope |
| blocks of tools that ran at the provider | nothing; the loss is named |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, cast

from ...._core.conversation.parts import (
    Document,
    Image,
    Part,
    Reasoning,
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
from ...translation.proofs import ANTHROPIC, attach_proofs, open_proof
from ...translation.requests import BodyDecoder, malformed, raw_member, unsupported
from .shapes import (
    NO_EDITS,
    Block,
    CacheControl,
    Choice,
    Edit,
    Message,
    Request,
    Source,
    ToolMember,
)

__all__ = ["read_request"]

_decode = BodyDecoder(Request)

_NAMES = {
    "output": "output_config",
    "stop": "stop_sequences",
    "turns": "messages",
    "user": "metadata",
    "parallel_tool_calls": "tool_choice",
}
_QUIET = frozenset(("cache_control", "user_profile_id"))
_MODES: dict[str, Literal["auto", "required", "none", "tool"]] = {
    "auto": "auto",
    "any": "required",
    "none": "none",
    "tool": "tool",
}
_ROLES = ("user", "assistant", "system")
_TIERS = {"standard_only": "default"}
# Tools that run at the client, with names that only Anthropic's models know.
_SCHEMALESS = ("bash_", "computer_", "text_editor_")
# Blocks of tools that ran at the provider; no other provider can read them.
_OF_SERVER_TOOLS = ("_tool_result", "server_tool_use", "mcp_tool_use", "container_upload")


def read_request(fields: Fields) -> Conversation:
    """Return a request in the neutral form.

    Raises:
        MalformedRequest: It is not a Messages request.
        UnsupportedField: A member cannot be translated.
    """
    body, extra = _decode(fields)
    for name in ("container", "mcp_servers"):
        if raw_member(getattr(body, name)):
            raise unsupported(name, "cannot be translated")
    lost: list[str] = []
    if any(_is_missed(edit) for edit in (body.context_management or NO_EDITS).edits):
        lost.append("context_management")
    tools = tuple(_read_tools(body.tools or [], lost))
    choice = body.tool_choice
    thinking = _read_thinking(body)
    return Conversation(
        dialect="anthropic.messages",
        model=body.model,
        stream=body.stream is True,
        include_usage=True,
        system=tuple(_read_system(body.system)),
        turns=tuple(_read_turns(body.messages, lost)),
        tools=tools,
        tool_choice=None if choice is None else _read_choice(choice),
        parallel_tool_calls=False if choice and choice.disable_parallel_tool_use else None,
        max_tokens=body.max_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        stop=tuple(body.stop_sequences or ()),
        output=_read_output(body),
        thinking=thinking,
        service_tier=_TIERS.get(body.service_tier or "", body.service_tier),
        user=None if body.metadata is None else body.metadata.user_id,
        extra=extra,
        quiet=_QUIET,
        names=_NAMES,
        lost=tuple(dict.fromkeys(lost)),
    )


def _is_missed(edit: Edit) -> bool:
    """Return whether the loss of a context edit matters at another provider.

    Edits of earlier thinking, which Claude Code sends, have no effect there: it is never sent.
    """
    return not edit.type.startswith("clear_thinking_")


def _cache(mark: CacheControl | None) -> str | None:
    return None if mark is None else mark.ttl or ""


def _read_system(system: str | list[Block] | None) -> Iterator[Text]:
    if isinstance(system, str):
        yield Text(system)
        return
    for block in system or ():
        yield Text(block.text, _cache(block.cache_control))


def _read_turns(messages: list[Message], lost: list[str]) -> Iterator[Turn]:
    names: dict[str, str] = {}
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if message.role not in _ROLES:
            raise malformed(f"{where}.role", f"{message.role!r} is not a role that is translated")
        role = cast(Literal["user", "assistant", "system"], message.role)
        content = message.content
        if isinstance(content, str):
            yield Turn(role, (Text(content),))
            continue
        parts = list(_read_blocks(content, f"{where}.content", names, lost))
        if role == "assistant":
            parts = list(attach_proofs(parts))
        results = [part for part in parts if isinstance(part, ToolResult)]
        if results:
            parts = results + [part for part in parts if not isinstance(part, ToolResult)]
        yield Turn(role, tuple(parts))


def _read_blocks(
    blocks: Sequence[Block], where: str, names: dict[str, str], lost: list[str]
) -> Iterator[Part]:
    for index, block in enumerate(blocks):
        if block.type.endswith(_OF_SERVER_TOOLS) and block.type != "tool_result":
            lost.append("messages")
            continue
        yield _read_block(block, f"{where}[{index}]", names, lost)


def _read_block(block: Block, where: str, names: dict[str, str], lost: list[str]) -> Part:
    cache = _cache(block.cache_control)
    match block.type:
        case "text":
            return Text(block.text, cache)
        case "tool_use":
            names[block.id] = block.name
            arguments = raw_member(block.input).decode() or "{}"
            return ToolCall(block.id, block.name, arguments, cache=cache)
        case "tool_result":
            content = block.content
            parts: tuple[Part, ...] = (
                (Text(content),)
                if isinstance(content, str)
                else tuple(_read_blocks(content or (), f"{where}.content", names, lost))
            )
            name = names.get(block.tool_use_id, "")
            is_error = block.is_error is True
            return ToolResult(block.tool_use_id, parts, name, is_error, cache=cache)
        case "thinking":
            proof, is_redacted = open_proof(block.signature or "", native=ANTHROPIC)
            return Reasoning(block.thinking, proof, is_redacted)
        case "redacted_thinking":
            proof, _ = open_proof(block.data, native=ANTHROPIC)
            return Reasoning("", proof, is_redacted=True)
        case "image" if isinstance(block.source, Source):
            source = block.source
            return Image(source.media_type, source.data, source.url, source.file_id, cache=cache)
        case "document" if isinstance(block.source, Source):
            return _read_document(block, block.source, where, names, lost)
        case "search_result":
            found = tuple(_read_blocks(_list(block.content), f"{where}.content", names, lost))
            return Document(parts=found, title=block.title or "", cache=cache)
        case "tool_reference":  # all tools are given from the beginning, so nothing is to be loaded
            return Text(f"The tool {block.tool_name} is available.", cache)
    raise unsupported(where, f"of the type {block.type!r} cannot be translated")


def _read_document(
    block: Block, source: Source, where: str, names: dict[str, str], lost: list[str]
) -> Document:
    parts: tuple[Part, ...] = ()
    text = source.data if source.type == "text" else ""
    if source.type == "content":
        if isinstance(source.content, str):
            text = source.content
        else:
            parts = tuple(_read_blocks(source.content, f"{where}.source.content", names, lost))
    citations = block.citations
    return Document(
        media_type=source.media_type or "application/pdf",
        data="" if text else source.data,
        text=text,
        url=source.url,
        file_id=source.file_id,
        parts=parts,
        title=block.title or "",
        context=block.context or "",
        has_citations=not isinstance(citations, list) and citations is not None,
        cache=_cache(block.cache_control),
    )


def _list(content: str | list[Block] | None) -> list[Block]:
    return content if isinstance(content, list) else []


def _read_tools(tools: list[ToolMember], lost: list[str]) -> Iterator[Tool]:
    """Yield the client's own tools; tools run by the provider are dropped if there are others."""
    is_own = [tool.type in (None, "custom") for tool in tools]
    for index, tool in enumerate(tools):
        if is_own[index]:
            yield Tool(
                tool.name,
                tool.description or "",
                raw_member(tool.input_schema),
                tool.strict,
                cache=_cache(tool.cache_control),
            )
        elif (tool.type or "").startswith(_SCHEMALESS) or not any(is_own):
            raise unsupported(f"tools[{index}]", f"of the type {tool.type!r} cannot be translated")
        else:
            lost.append(f"tools.{tool.name or tool.type}")


def _read_choice(choice: Choice) -> ToolChoice:
    mode = _MODES.get(choice.type)
    if mode is None:
        raise malformed("tool_choice.type", f"{choice.type!r} is none of {', '.join(_MODES)}")
    return ToolChoice(mode, choice.name)


def _read_thinking(body: Request) -> Thinking | None:
    thinking, config = body.thinking, body.output_config
    effort = None if config is None else config.effort
    if thinking is None:
        return None if effort is None else Thinking(effort=effort)
    if thinking.type == "disabled":
        return Thinking(budget=0)
    return Thinking(
        effort=effort,
        budget=thinking.budget_tokens if thinking.type == "enabled" else None,
        is_adaptive=thinking.type == "adaptive",
        shows=thinking.display != "omitted",
    )


def _read_output(body: Request) -> OutputFormat | None:
    form = (body.output_config and body.output_config.format) or body.output_format
    if form is None:
        return None
    return OutputFormat(raw_member(form.schema) or b"{}")
