"""Writes a conversation as a Messages request to a provider.

| requested | sent |
|---|---|
| any JSON object | a sentence among the instructions; named as dropped |
| one call at a time | `disable_parallel_tool_use` on the tool choice |
| no tools, but calls in the history | the tools that the history names, and the choice of none |
| no thinking | thinking disabled |
| length, sampling, thinking | see `claude.sampling` |
"""

from __future__ import annotations

from typing import Any

import msgspec

from ...._core.conversation.request import Conversation, Tool
from ...._core.conversation.writing import DialectOptions, Losses, Written
from ...claude.cache_marks import latest_marks
from ...claude.sampling import choose_sampling, stop_sequences
from ...claude.turns import instructions
from ...translation.made_images import with_images_at_users
from ...translation.proofs import ANTHROPIC
from ...translation.texts import without_none
from ...translation.thinking import is_off
from ...translation.tools import describe, named_tools, object_schema, offered_tools
from .messages_writer import MessageWriter, cache_mark, takes_image

__all__ = ["write_request"]

_VERSION = "2023-06-01"
_OWN = "anthropic.messages"  # its clients know how many marks there may be
_TIERS = {"auto": "auto", "default": "standard_only"}


def write_request(
    conversation: Conversation, options: DialectOptions, *, model: str | None, streams: bool
) -> Written:
    """Return a conversation as the members of a Messages request.

    Raises:
        UnsupportedField: The Messages API lacks a requested feature.
    """
    if conversation.dialect != _OWN:
        conversation = latest_marks(conversation)
    losses = Losses(conversation, options, "the Messages API")
    losses.refuse_choices()
    losses.refuse_logprobs()
    if conversation.modalities:
        losses.refuse(conversation.name_of("modalities"))
    losses.drop("seed", "frequency_penalty", "presence_penalty", "logit_bias", "verbosity")
    losses.drop_extra()
    conversation = with_images_at_users(conversation, losses, takes_image)
    tools, choice = _tools(conversation)
    sampling = choose_sampling(conversation, options, losses, verifier=ANTHROPIC)
    members = without_none(
        model=model,
        max_tokens=sampling.max_tokens,
        system=_system(conversation, losses),
        messages=MessageWriter(conversation, losses).messages(),
        tools=tools or None,
        tool_choice=choice,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        stop_sequences=stop_sequences(conversation, losses),
        thinking=_thinking(conversation) or sampling.thinking,
        output_config=_output_config(conversation, sampling.effort),
        metadata=None if conversation.user is None else {"user_id": conversation.user},
        service_tier=losses.tier(_TIERS),
    )
    if streams:
        members["stream"] = True
    version = (options.version or _VERSION).encode()
    return Written(members, losses.names, ((b"anthropic-version", version),))


def _system(conversation: Conversation, losses: Losses) -> str | list[dict[str, Any]] | None:
    texts = instructions(conversation, losses)
    if not texts:
        return None
    if len(texts) == 1 and texts[0].cache is None:
        return texts[0].text
    return [{"type": "text", "text": text.text} | cache_mark(text.cache) for text in texts]


def _thinking(conversation: Conversation) -> dict[str, Any] | None:
    thinking = conversation.thinking
    return {"type": "disabled"} if thinking is not None and is_off(thinking) else None


def _output_config(conversation: Conversation, effort: str | None) -> dict[str, Any] | None:
    output = conversation.output
    form = None
    if output is not None and output.schema:
        form = {"type": "json_schema", "schema": msgspec.Raw(output.schema)}
    return without_none(format=form, effort=effort) or None


def _tools(conversation: Conversation) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return the tools and the choice among them.

    A history with calls needs tools: those that it names are declared if the client has none.
    """
    choice, tools = conversation.tool_choice, offered_tools(conversation)
    if not tools:
        named = named_tools(conversation)
        return list(map(_tool, named)), {"type": "none"} if named else None
    modes = {"auto": "auto", "required": "any", "none": "none", "tool": "tool"}
    written: dict[str, Any] = {"type": modes[choice.mode]} if choice is not None else {}
    if choice is not None and choice.mode == "tool":
        written["name"] = choice.name
    if conversation.parallel_tool_calls is False and written.get("type") != "none":
        written = {"type": "auto"} | written | {"disable_parallel_tool_use": True}
    return list(map(_tool, tools)), written or None


def _tool(tool: Tool) -> dict[str, Any]:
    return without_none(
        name=tool.name,
        description=describe(tool),
        input_schema=object_schema(tool),
        strict=tool.strict,
    ) | cache_mark(tool.cache)
