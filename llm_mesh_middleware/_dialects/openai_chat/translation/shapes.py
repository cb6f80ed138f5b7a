"""The members of requests that clients of chat completions send."""

from __future__ import annotations

import msgspec

from ...openai.members import Breakpoint
from .media import ExtraContent, ImageMember, ImageURL

__all__ = [
    "Call",
    "Content",
    "CustomFormat",
    "Message",
    "PartMember",
    "Request",
    "ResponseFormat",
    "ThinkingBlock",
]

Number = int | float


class AudioData(msgspec.Struct):
    """Sound."""

    data: str
    format: str


class FileData(msgspec.Struct):
    """A file, or the id of one."""

    file_data: str | None = None
    filename: str | None = None
    file_id: str | None = None


class CacheControl(msgspec.Struct):
    """A cache mark, as several gateways take it."""

    ttl: str | None = None


class PartMember(msgspec.Struct):
    """One part of a content."""

    type: str
    text: str = ""
    refusal: str = ""
    image_url: ImageURL | str | None = None
    input_audio: AudioData | None = None
    file: FileData | None = None
    cache_control: CacheControl | None = None
    prompt_cache_breakpoint: Breakpoint | None = None


class Function(msgspec.Struct):
    """A function that is called."""

    name: str
    arguments: str | None = None


class Custom(msgspec.Struct):
    """A custom tool that is called."""

    name: str
    input: str = ""


class Call(msgspec.Struct):
    """A call of a tool."""

    id: str = ""
    type: str = "function"
    function: Function | None = None
    custom: Custom | None = None
    extra_content: ExtraContent | None = None


class ThinkingBlock(msgspec.Struct):
    """A block of reasoning with its proof, as gateways to Anthropic's models give it."""

    type: str = "thinking"
    thinking: str = ""
    signature: str | None = None
    data: str | None = None


Content = str | list[PartMember] | None


class Message(msgspec.Struct):
    """One message."""

    role: str
    content: Content = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    thinking_blocks: list[ThinkingBlock] | None = None
    images: list[ImageMember] | None = None
    audio: object = None
    function_call: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class FunctionTool(msgspec.Struct):
    """A function that may be called."""

    name: str
    description: str | None = None
    parameters: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    strict: bool | None = None


class Grammar(msgspec.Struct):
    """A grammar, and the language that it is written in."""

    syntax: str
    definition: str


class CustomFormat(msgspec.Struct):
    """The form of a custom tool's input."""

    type: str
    grammar: Grammar | None = None


class CustomTool(msgspec.Struct):
    """A custom tool that may be called."""

    name: str
    description: str | None = None
    format: CustomFormat | None = None


class ToolMember(msgspec.Struct):
    """A tool."""

    type: str = "function"
    function: FunctionTool | None = None
    custom: CustomTool | None = None
    cache_control: CacheControl | None = None


class Name(msgspec.Struct):
    """The name of a tool."""

    name: str


class AllowedTools(msgspec.Struct):
    """A choice among some of the tools."""

    mode: str = "auto"
    tools: list[ToolMember] = []


class Choice(msgspec.Struct):
    """Which tool must be called."""

    type: str
    function: Name | None = None
    custom: Name | None = None
    allowed_tools: AllowedTools | None = None


class JSONSchema(msgspec.Struct):
    """A schema for the answer."""

    name: str = ""
    description: str | None = None
    schema: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    strict: bool | None = None


class ResponseFormat(msgspec.Struct):
    """The form of the answer."""

    type: str
    json_schema: JSONSchema | None = None


class StreamOptions(msgspec.Struct):
    """The options of a stream."""

    include_usage: bool | None = None


class Request(msgspec.Struct):
    """The members of a request that have a meaning beyond this dialect."""

    messages: list[Message]
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[ToolMember] | None = None
    tool_choice: str | Choice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    top_k: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    frequency_penalty: Number | None = None
    presence_penalty: Number | None = None
    logit_bias: dict[str, Number] | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    service_tier: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    metadata: dict[str, str] | None = None
    modalities: list[str] | None = None
    audio: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    functions: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    function_call: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    web_search_options: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
