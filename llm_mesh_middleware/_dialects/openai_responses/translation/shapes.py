"""The members of requests that clients of the Responses API send."""

from __future__ import annotations

import msgspec

from ...openai.members import Breakpoint

__all__ = ["Format", "Item", "PartMember", "Request", "ToolChoiceMember", "ToolMember"]

Number = int | float
Raw = msgspec.Raw | msgspec.UnsetType


class PartMember(msgspec.Struct):
    """One part of a content, a summary or an output."""

    type: str = "input_text"
    text: str = ""
    refusal: str = ""
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    prompt_cache_breakpoint: Breakpoint | None = None


class Item(msgspec.Struct):
    """One item of the input; one without a type is a message."""

    type: str = "message"
    id: str | None = None
    role: str = ""
    content: str | list[PartMember] | None = None
    call_id: str = ""
    name: str = ""
    namespace: str | None = None
    arguments: str = ""
    input: str = ""
    output: str | list[PartMember] | None = None
    summary: list[PartMember] | None = None
    encrypted_content: str | None = None
    result: str | None = None
    output_format: str | None = None


class ToolMember(msgspec.Struct):
    """A tool, or a namespace with tools."""

    type: str
    name: str = ""
    description: str | None = None
    parameters: Raw = msgspec.UNSET
    strict: bool | None = None
    format: Raw = msgspec.UNSET
    tools: list[ToolMember] = []


class ToolChoiceMember(msgspec.Struct):
    """Which tool must be called."""

    type: str
    name: str = ""
    mode: str = "auto"
    tools: list[ToolMember] = []


class Format(msgspec.Struct):
    """The form of the text."""

    type: str
    name: str = ""
    description: str | None = None
    schema: Raw = msgspec.UNSET
    strict: bool | None = None


class TextConfig(msgspec.Struct):
    """The format of the text."""

    format: Format | None = None
    verbosity: str | None = None


class ReasoningConfig(msgspec.Struct):
    """The effort of the reasoning, and its summary."""

    effort: str | None = None
    summary: str | None = None


class Request(msgspec.Struct):
    """The members of a request that have a meaning beyond this dialect."""

    input: str | list[Item] = ""
    model: str | None = None
    instructions: str | None = None
    stream: bool | None = None
    tools: list[ToolMember] | None = None
    tool_choice: str | ToolChoiceMember | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    top_logprobs: int | None = None
    text: TextConfig | None = None
    reasoning: ReasoningConfig | None = None
    service_tier: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    include: list[str] | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: Raw = msgspec.UNSET
    prompt: Raw = msgspec.UNSET
