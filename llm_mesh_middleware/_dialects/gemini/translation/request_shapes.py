"""The members of requests that clients of the Gemini API send."""

from __future__ import annotations

import msgspec

__all__ = [
    "Calling",
    "Content",
    "Generation",
    "Part",
    "Raw",
    "Request",
    "Result",
    "Thinking",
    "Tool",
]

Number = int | float
Raw = msgspec.Raw | msgspec.UnsetType


class Blob(msgspec.Struct, rename="camel"):
    """Base64 data."""

    mime_type: str = ""
    data: str = ""


class File(msgspec.Struct, rename="camel"):
    """Data behind a URI."""

    mime_type: str = ""
    file_uri: str = ""


class Call(msgspec.Struct):
    """A call in the history."""

    name: str = ""
    id: str | None = None
    args: Raw = msgspec.UNSET


class ResultPart(msgspec.Struct, rename="camel"):
    """A part of a result that is not JSON."""

    inline_data: Blob | None = None
    file_data: File | None = None


class Result(msgspec.Struct):
    """The result of a function."""

    name: str = ""
    id: str | None = None
    response: Raw = msgspec.UNSET
    parts: list[ResultPart] | None = None


class Part(msgspec.Struct, rename="camel"):
    """A part of a content."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    inline_data: Blob | None = None
    file_data: File | None = None
    function_call: Call | None = None
    function_response: Result | None = None


class Content(msgspec.Struct):
    """One turn, or the instructions."""

    role: str | None = None
    parts: list[Part] | None = None


class Declaration(msgspec.Struct, rename="camel"):
    """A function; its parameters are in one of two schema languages."""

    name: str
    description: str | None = None
    parameters: Raw = msgspec.UNSET
    parameters_json_schema: Raw = msgspec.UNSET


class Tool(msgspec.Struct, rename="camel"):
    """Functions, or a tool that runs at the provider."""

    function_declarations: list[Declaration] | None = None


class Calling(msgspec.Struct, rename="camel"):
    """Which functions may be called."""

    mode: str | None = None
    allowed_function_names: list[str] | None = None


class ToolConfig(msgspec.Struct, rename="camel"):
    """The use of tools."""

    function_calling_config: Calling | None = None


class Thinking(msgspec.Struct, rename="camel"):
    """The limits of thinking."""

    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


class Generation(msgspec.Struct, rename="camel"):
    """The members of `generationConfig` that have a meaning beyond this dialect."""

    max_output_tokens: int | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    top_k: Number | None = None
    stop_sequences: list[str] | None = None
    seed: int | None = None
    candidate_count: int | None = None
    frequency_penalty: Number | None = None
    presence_penalty: Number | None = None
    response_logprobs: bool | None = None
    logprobs: int | None = None
    response_mime_type: str | None = None
    response_json_schema: Raw = msgspec.UNSET
    response_schema: Raw = msgspec.UNSET
    media_resolution: str | None = None
    response_modalities: list[str] | None = None
    thinking_config: Thinking | None = None


class Request(msgspec.Struct, rename="camel"):
    """The members of a request that have a meaning beyond this dialect."""

    contents: list[Content] | Content
    system_instruction: Content | None = None
    tools: list[Tool] | None = None
    tool_config: ToolConfig | None = None
    generation_config: Raw = msgspec.UNSET
    cached_content: str | None = None
    service_tier: str | None = None
