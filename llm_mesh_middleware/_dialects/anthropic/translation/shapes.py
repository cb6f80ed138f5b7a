"""The members of requests that clients of the Messages API send."""

from __future__ import annotations

import msgspec

__all__ = ["NO_EDITS", "Block", "Edit", "Message", "Request", "Source", "ToolMember"]

Number = int | float
Raw = msgspec.Raw | msgspec.UnsetType


class CacheControl(msgspec.Struct):
    """A cache mark."""

    ttl: str | None = None


class Source(msgspec.Struct):
    """The source of an image or a document."""

    type: str
    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    content: str | list[Block] = ""


class Citations(msgspec.Struct):
    """Whether a document may be cited."""

    enabled: bool = False


class Block(msgspec.Struct):
    """One block of a content."""

    type: str
    text: str = ""
    source: Source | str | None = None
    title: str | None = None
    context: str | None = None
    citations: Citations | list[msgspec.Raw] | None = None
    cache_control: CacheControl | None = None
    id: str = ""
    name: str = ""
    input: Raw = msgspec.UNSET
    tool_use_id: str = ""
    content: str | list[Block] | None = None
    is_error: bool | None = None
    thinking: str = ""
    signature: str | None = None
    data: str = ""
    tool_name: str = ""


class Message(msgspec.Struct):
    """One message."""

    role: str
    content: str | list[Block]


class ToolMember(msgspec.Struct):
    """A tool."""

    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: Raw = msgspec.UNSET
    strict: bool | None = None
    cache_control: CacheControl | None = None


class Choice(msgspec.Struct):
    """Which tool must be called."""

    type: str
    name: str = ""
    disable_parallel_tool_use: bool | None = None


class ThinkingMember(msgspec.Struct):
    """The limits of thinking."""

    type: str
    budget_tokens: int | None = None
    display: str | None = None


class Format(msgspec.Struct):
    """The form of the answer."""

    type: str
    schema: Raw = msgspec.UNSET


class OutputConfig(msgspec.Struct):
    """The form of the answer, and the effort it may take."""

    effort: str | None = None
    format: Format | None = None


class Metadata(msgspec.Struct):
    """The end user behind the request."""

    user_id: str | None = None


class Edit(msgspec.Struct):
    """One way to shorten the context."""

    type: str = ""


class ContextManagement(msgspec.Struct):
    """The ways to shorten the context."""

    edits: list[Edit] = []


NO_EDITS = ContextManagement()


class Request(msgspec.Struct):
    """The members of a request that have a meaning beyond this dialect."""

    messages: list[Message]
    model: str | None = None
    max_tokens: int | None = None
    system: str | list[Block] | None = None
    stream: bool | None = None
    tools: list[ToolMember] | None = None
    tool_choice: Choice | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    thinking: ThinkingMember | None = None
    output_config: OutputConfig | None = None
    output_format: Format | None = None
    metadata: Metadata | None = None
    service_tier: str | None = None
    container: Raw = msgspec.UNSET
    mcp_servers: Raw = msgspec.UNSET
    context_management: ContextManagement | None = None
