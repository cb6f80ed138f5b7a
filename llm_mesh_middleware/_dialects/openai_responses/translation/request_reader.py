"""Reads a client's Responses request into the neutral form.

input items                                     turns
message of a user                               user
message of the assistant, reasoning, calls,     assistant: neighbours are one turn
  images
outputs of calls                                user: before the next message of the user
message of system or developer                  the first ones are instructions; later ones turns
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from ...._core.conversation.parts import (
    Document,
    Image,
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
from ...translation.proofs import RESPONSES, attach_proofs, open_proof
from ...translation.requests import BodyDecoder, malformed, raw_member, unsupported
from ...translation.texts import read_data_url
from .hosted_items import DRAWS, made_image
from .namespaces import full_name
from .shapes import Item, PartMember, Request, ToolChoiceMember, ToolMember

__all__ = ["WANTS_PROOFS", "read_request"]

_decode = BodyDecoder(Request)

_SYSTEM = ("system", "developer")
_QUIET = frozenset(
    (
        "client_metadata",
        "include",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "store",
        "stream_options",
        "truncation",
    )
)
_NAMES = {
    "images": "image_generation_call",
    "logprobs": "top_logprobs",
    "max_tokens": "max_output_tokens",
    "modalities": "tool_choice",
    "output": "text",
    "thinking": "reasoning",
    "turns": "input",
    "verbosity": "text",
}
# Members that need a store, unless they are empty.
_STATEFUL = frozenset(("background", "conversation", "previous_response_id", "prompt"))
# Members that a response repeats.
_ECHOED = (
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "reasoning",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_p",
    "truncation",
)
# The member of `echo` for a client that requests proofs of reasoning, to send them back.
WANTS_PROOFS = "include"


def read_request(fields: Fields) -> Conversation:
    """Return a request in the neutral form.

    Raises:
        MalformedRequest: It is not a Responses request.
        UnsupportedField: A member cannot be translated.
    """
    body, extra = _decode(fields)
    if not _STATEFUL.isdisjoint(fields):
        _refuse_stateful(body)
    lost: list[str] = []
    system, turns = _Items(lost).read(body)
    choice = body.tool_choice
    draws = choice.__class__ is ToolChoiceMember and choice.type == DRAWS
    # A tool that has to be called is not also one of several.
    members = [tool for tool in body.tools or () if not (draws and tool.type == DRAWS)]
    tools = tuple(_read_tools(members, lost))
    echo = {name: fields[name] for name in _ECHOED if name in fields}
    if body.store is False or "reasoning.encrypted_content" in (body.include or ()):
        echo[WANTS_PROOFS] = msgspec.Raw(b"true")
    return Conversation(
        dialect="openai.responses",
        model=body.model,
        stream=body.stream is True,
        include_usage=True,
        system=system,
        turns=turns,
        tools=tools,
        tool_choice=None if draws else _read_choice(choice, tools),
        modalities=("image",) if draws else (),
        parallel_tool_calls=body.parallel_tool_calls,
        max_tokens=body.max_output_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        logprobs=True if body.top_logprobs else None,
        top_logprobs=body.top_logprobs,
        output=_read_output(body),
        thinking=_read_thinking(body),
        verbosity=None if body.text is None else body.text.verbosity,
        service_tier=body.service_tier,
        user=body.safety_identifier or body.user,
        metadata=fields["metadata"] if body.metadata else None,
        extra=extra,
        quiet=_QUIET,
        names=_NAMES,
        echo=echo,
        lost=tuple(dict.fromkeys(lost)),
    )


def _refuse_stateful(body: Request) -> None:
    for name in ("previous_response_id", "conversation", "prompt"):
        member = getattr(body, name)
        if isinstance(member, str) or raw_member(member):
            raise unsupported(
                name, "cannot be translated: nothing is stored; send all of the input"
            )
    if body.background:
        raise unsupported("background", "cannot be translated: nothing is stored")


class _Items:
    """Collects turns from items."""

    def __init__(self, lost: list[str]) -> None:
        self._lost = lost
        self._system: list[Text] = []
        self._turns: list[Turn] = []
        self._assistant_parts: list[Part] = []  # of the assistant
        self._results: list[Part] = []
        self._calls: dict[str, tuple[str, bool]] = {}

    def read(self, body: Request) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
        if body.instructions:
            self._system.append(Text(body.instructions))
        if isinstance(body.input, str):
            return tuple(self._system), (Turn("user", (Text(body.input),)),)
        for index, item in enumerate(body.input):
            self._take(item, f"input[{index}]")
        self._end_assistant()
        self._end_results()
        return tuple(self._system), tuple(self._turns)

    def _take(self, item: Item, where: str) -> None:
        match item.type:
            case "message":
                self._take_message(item, where)
            case "function_call" | "custom_tool_call":
                self._end_results()
                is_custom = item.type == "custom_tool_call"
                name = full_name(item.namespace, item.name)
                self._calls[item.call_id] = (name, is_custom)
                arguments = item.input if is_custom else item.arguments
                self._assistant_parts.append(ToolCall(item.call_id, name, arguments, is_custom))
            case "function_call_output" | "custom_tool_call_output":
                self._end_assistant()
                name, is_custom = self._calls.get(item.call_id, ("", False))
                parts = tuple(_read_content(item.output, f"{where}.output"))
                self._results.append(ToolResult(item.call_id, parts, name, is_custom=is_custom))
            case "reasoning":
                self._end_results()
                self._assistant_parts.append(_read_reasoning(item))
            case "image_generation_call" if item.result:
                self._end_results()
                if (image := made_image(item.result, item.output_format)) is not None:
                    self._assistant_parts.append(image)
            case "item_reference":
                raise unsupported(where, "refers to what is stored elsewhere; send the item itself")
            case _:  # history of tools that ran at the provider
                self._lost.append("input")

    def _take_message(self, item: Item, where: str) -> None:
        parts = tuple(_read_content(item.content, f"{where}.content"))
        if item.role == "assistant":
            self._end_results()
            self._assistant_parts += parts
            return
        self._end_assistant()
        if item.role == "user":
            self._turns.append(Turn("user", (*self._results, *parts)))
            self._results.clear()
        elif item.role in _SYSTEM:
            self._end_results()
            if self._turns:
                self._turns.append(Turn("system", parts))
            else:
                self._system += [part for part in parts if isinstance(part, Text)]
        else:
            raise malformed(f"{where}.role", f"{item.role!r} is not a role that is translated")

    def _end_assistant(self) -> None:
        if self._assistant_parts:
            self._turns.append(Turn("assistant", tuple(attach_proofs(self._assistant_parts))))
            self._assistant_parts.clear()

    def _end_results(self) -> None:
        if self._results:
            self._turns.append(Turn("user", tuple(self._results)))
            self._results.clear()


def _read_reasoning(item: Item) -> Reasoning:
    texts = item.summary or (item.content if isinstance(item.content, list) else None) or ()
    proof, is_redacted = open_proof(item.encrypted_content or "", native=RESPONSES)
    text = "\n\n".join(part.text for part in texts if part.text)
    return Reasoning(text, proof, is_redacted, is_summary=bool(item.summary), id=item.id or "")


def _read_content(content: str | list[PartMember] | None, where: str) -> Iterator[Part]:
    if isinstance(content, str):
        yield Text(content)
        return
    for index, part in enumerate(content or ()):
        yield _read_part(part, f"{where}[{index}]")


def _read_part(part: PartMember, where: str) -> Part:
    cache = cache_of(part.prompt_cache_breakpoint)
    match part.type:
        case "input_text" | "output_text" | "text" | "summary_text":
            return Text(part.text, cache)
        case "refusal":
            return Refusal(part.refusal)
        case "input_image":
            url = part.image_url or ""
            if (found := read_data_url(url)) is not None:
                return Image(*found, detail=part.detail, cache=cache)
            return Image(url=url, file_id=part.file_id or "", detail=part.detail, cache=cache)
        case "input_file":
            given = part.file_data or ""
            found = read_data_url(given) or ("application/pdf", given)
            return Document(
                *found,
                url=part.file_url or "",
                file_id=part.file_id or "",
                title=part.filename or "",
                cache=cache,
            )
    raise malformed(where, f"{part.type!r} is not a part that is translated")


def _read_tools(tools: list[ToolMember], lost: list[str]) -> Iterator[Tool]:
    """Yield the client's own tools; tools that run at the provider are dropped."""
    for tool in tools:
        description = tool.description or ""
        if tool.type == "function":
            yield Tool(tool.name, description, raw_member(tool.parameters), tool.strict)
        elif tool.type == "custom":
            yield Tool(tool.name, description, is_custom=True, grammar=raw_member(tool.format))
        elif tool.type == "namespace":
            for inner in _read_tools(tool.tools, lost):
                name = full_name(tool.name, inner.name)
                yield replace(inner, name=name, namespace=tool.name, own_name=inner.name)
        else:
            lost.append(f"tools.{tool.type}")


def _read_choice(
    choice: str | ToolChoiceMember | None, tools: tuple[Tool, ...]
) -> ToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        return read_mode(choice)
    if choice.type == "allowed_tools":
        allowed = tuple(_allowed(choice.tools, tools))
        return ToolChoice("required" if choice.mode == "required" else "auto", allowed=allowed)
    if choice.type not in ("function", "custom"):
        raise unsupported("tool_choice", f"of the type {choice.type!r} cannot be translated")
    return ToolChoice("tool", choice.name)


def _allowed(listed: list[ToolMember], tools: tuple[Tool, ...]) -> Iterator[str]:
    for member in listed:
        if member.type == "namespace":
            yield from (tool.name for tool in tools if tool.namespace == member.name)
        else:
            yield member.name


def _read_thinking(body: Request) -> Thinking | None:
    asked = body.reasoning
    if asked is None or asked.effort is None:
        return None
    return Thinking(effort=asked.effort, shows=asked.summary is not None)


def _read_output(body: Request) -> OutputFormat | None:
    form = None if body.text is None else body.text.format
    if form is None or form.type == "text":
        return None
    if form.type == "json_object":
        return OutputFormat()
    schema = raw_member(form.schema) or b"{}"
    return OutputFormat(schema, form.name, form.description or "", form.strict)
