"""A request, in the neutral form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from .parts import Part, Text

__all__ = ["Conversation", "OutputFormat", "Thinking", "Tool", "ToolChoice", "Turn"]

_NO_NAMES: Mapping[str, str] = {}


class Turn(msgspec.Struct, frozen=True):
    """One turn. The results of tools are parts of a user's turn, before its other parts."""

    role: Literal["user", "assistant", "system"]
    parts: tuple[Part, ...]


class Tool(msgspec.Struct, frozen=True):
    """A function that the model may call; `schema` is the raw JSON Schema of its arguments.

    A custom tool takes free text, described by its `grammar`, if by anything: a raw JSON object
    with type, syntax and definition, as OpenAI's Responses have it. Where the client's dialect has
    namespaces, `namespace` is the one that the tool is in and `own_name` its name there; `name` is
    unique over all of them.
    """

    name: str
    description: str = ""
    schema: bytes = b""
    strict: bool | None = None
    is_custom: bool = False
    grammar: bytes = b""
    cache: str | None = None
    namespace: str = ""
    own_name: str = ""


class ToolChoice(msgspec.Struct, frozen=True):
    """The choice of tools: `tool` forces the one `name`; `allowed` narrows auto and required."""

    mode: Literal["auto", "required", "none", "tool"]
    name: str = ""
    allowed: tuple[str, ...] = ()


class OutputFormat(msgspec.Struct, frozen=True):
    """JSON of a raw `schema`, or any JSON object without one."""

    schema: bytes = b""
    name: str = ""
    description: str = ""
    strict: bool | None = None


class Thinking(msgspec.Struct, frozen=True):
    """How much the model may think: an effort (none, minimal, low, ... max), or tokens.

    `is_adaptive` leaves it to the model. `shows` says whether the client wants to see it; None if
    it says nothing of that.
    """

    effort: str | None = None
    budget: int | None = None
    is_adaptive: bool = False
    shows: bool | None = None


class Conversation(msgspec.Struct, kw_only=True):
    """A client's request to a model; None for members that it does not set.

    Attributes:
        dialect: the name of the client's dialect.
        system: the instructions that precede the first turn.
        user: the end user, as the client names it.
        extra: members that this form does not have, raw; writers of the same family may use them,
            others report them as dropped.
        quiet: names of members that are dropped without a report, as their effect is not visible.
        modalities: what the answer may contain, `text` or `image`; empty for texts alone.
        names: neutral name -> the client's name, where they differ, for reports of losses.
        echo: raw members that the client's own dialect repeats in its answers.
        lost: the client's names of what the reader could not convert.
    """

    dialect: str
    model: str | None = None
    stream: bool = False
    include_usage: bool = False
    system: tuple[Text, ...] = ()
    turns: tuple[Turn, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    temperature: int | float | None = None
    top_p: int | float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: int | float | None = None
    presence_penalty: int | float | None = None
    logit_bias: msgspec.Raw | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    output: OutputFormat | None = None
    thinking: Thinking | None = None
    verbosity: str | None = None
    modalities: tuple[str, ...] = ()
    service_tier: str | None = None
    user: str | None = None
    metadata: msgspec.Raw | None = None
    extra: dict[str, msgspec.Raw] = {}
    quiet: frozenset[str] = frozenset()
    names: Mapping[str, str] = _NO_NAMES
    echo: dict[str, msgspec.Raw] = {}
    lost: tuple[str, ...] = ()

    def name_of(self, field: str) -> str:
        """Return the client's name of a field of this form."""
        return self.names.get(field, field)
