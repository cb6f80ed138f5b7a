"""Writes a conversation as a request to the Converse API."""

from __future__ import annotations

from typing import Any

from ..._core.conversation.parts import Text, ToolCall, ToolResult
from ..._core.conversation.request import Conversation, OutputFormat, Tool
from ..._core.conversation.writing import DialectOptions, Losses, Written
from ..claude.cache_marks import latest_marks
from ..claude.sampling import choose_sampling, stop_sequences
from ..claude.turns import instructions
from ..translation.made_images import with_images_at_users
from ..translation.proofs import BEDROCK
from ..translation.texts import without_none
from ..translation.tools import describe, named_tools, object_schema, offered_tools
from .turns import TurnWriter, cache_point, takes_image

__all__ = ["write_request"]

_NO_CALLS = Text("Do not call any tool.")
_TIERS = {name: {"type": name} for name in ("default", "flex", "priority")}


def write_request(conversation: Conversation, options: DialectOptions) -> Written:
    """Return a conversation as the members of a Converse request.

    Raises:
        UnsupportedField: The Converse API lacks a requested feature.
    """
    conversation = latest_marks(conversation)
    losses = Losses(conversation, options, "the Converse API")
    losses.refuse_choices()
    losses.refuse_logprobs()
    if conversation.modalities:
        losses.refuse(conversation.name_of("modalities"))
    losses.drop("seed", "frequency_penalty", "presence_penalty", "logit_bias", "verbosity")
    losses.drop_extra()
    conversation = with_images_at_users(conversation, losses, takes_image)
    if conversation.parallel_tool_calls is False:
        losses.drop_named(conversation.name_of("parallel_tool_calls"))
    sampling = choose_sampling(conversation, options, losses, verifier=BEDROCK)
    inference = without_none(
        maxTokens=sampling.max_tokens,
        temperature=sampling.temperature,
        topP=sampling.top_p,
        stopSequences=stop_sequences(conversation, losses),
    )
    # Members of the model's own API, which Converse passes on.
    additional = without_none(top_k=sampling.top_k, thinking=sampling.thinking)
    tools = _tools(conversation)
    members = without_none(
        system=_system(conversation, losses) or None,
        messages=TurnWriter(conversation, losses).messages(),
        inferenceConfig=inference,
        toolConfig=_tool_config(conversation, tools),
        serviceTier=losses.tier(_TIERS),
        outputConfig=_output_config(conversation, sampling.effort),
        additionalModelRequestFields=additional or None,
    )
    return Written(members, losses.names)


def _system(conversation: Conversation, losses: Losses) -> list[dict[str, Any]]:
    texts = instructions(conversation, losses)
    choice = conversation.tool_choice
    if choice is not None and choice.mode == "none" and _has_calls(conversation):
        texts.append(_NO_CALLS)
    blocks: list[dict[str, Any]] = []
    for text in texts:
        blocks += [{"text": text.text}, *cache_point(text.cache)]
    return blocks


def _has_calls(conversation: Conversation) -> bool:
    parts = (part for turn in conversation.turns for part in turn.parts)
    return any(isinstance(part, ToolCall | ToolResult) for part in parts)


def _tools(conversation: Conversation) -> tuple[Tool, ...]:
    """Return the tools that are allowed, or those that a history with calls names."""
    choice = conversation.tool_choice
    if choice is not None and choice.mode == "none" and not _has_calls(conversation):
        return ()
    return offered_tools(conversation) or named_tools(conversation)


def _tool_config(conversation: Conversation, tools: tuple[Tool, ...]) -> dict[str, Any] | None:
    if not tools:
        return None
    written: list[dict[str, Any]] = []
    for tool in tools:
        written += [{"toolSpec": _tool(tool)}, *cache_point(tool.cache)]
    config: dict[str, Any] = {"tools": written}
    choice = conversation.tool_choice
    if choice is not None and conversation.tools and choice.mode != "none":
        modes = {"auto": "auto", "required": "any", "tool": "tool"}
        forced = {"name": choice.name} if choice.mode == "tool" else {}
        config["toolChoice"] = {modes[choice.mode]: forced}
    return config


def _tool(tool: Tool) -> dict[str, Any]:
    return without_none(
        name=tool.name,
        description=describe(tool),
        inputSchema={"json": object_schema(tool)},
        strict=tool.strict,
    )


def _output_config(conversation: Conversation, effort: str | None) -> dict[str, Any] | None:
    output = conversation.output
    form = _text_format(output) if output is not None and output.schema else None
    return without_none(textFormat=form, effort=effort) or None


def _text_format(output: OutputFormat) -> dict[str, Any]:
    schema = without_none(
        schema=output.schema.decode(),
        name=output.name or None,
        description=output.description or None,
    )
    return {"type": "json_schema", "structure": {"jsonSchema": schema}}
