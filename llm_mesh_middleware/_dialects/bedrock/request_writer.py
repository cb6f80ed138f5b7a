"""A conversation as a request to the Converse API."""

from __future__ import annotations

from typing import Any

from ..._core.conversation.parts import Reasoning, Text, ToolCall, ToolResult
from ..._core.conversation.request import Conversation, Tool
from ..._core.conversation.writing import DialectOptions, Losses, Written
from ..translation.texts import without_none
from ..translation.thinking import MIN_BUDGET, budget_of, is_off
from ..translation.tools import describe, named_tools, object_schema, offered_tools
from .answers import LETTER
from .turns import TurnWriter, cache_point

__all__ = ["write_request"]

_MAX_TEMPERATURE = 1
_MIN_TOP_P = 0.95  # with thinking
_ANY_OBJECT = "Answer with one JSON object and nothing else."
_NO_CALLS = "Do not call any tool."
_TIERS = {"default": "default", "flex": "flex", "priority": "priority"}
_EFFORTS = {"minimal": "low"}


def write_request(conversation: Conversation, options: DialectOptions) -> Written:
    """Return a conversation as the members of a Converse request.

    Raises:
        UnsupportedField: It asks for what the Converse API cannot say.
    """
    losses = Losses(conversation, options, "the Converse API")
    if conversation.n is not None and conversation.n > 1:
        losses.refuse(conversation.name_of("n"))
    if conversation.logprobs:
        losses.refuse(conversation.name_of("logprobs"))
    losses.drop("seed", "frequency_penalty", "presence_penalty", "logit_bias", "verbosity")
    losses.drop_extra()
    if conversation.parallel_tool_calls is False:
        losses.drop_named(conversation.name_of("parallel_tool_calls"))
    inference = without_none(
        maxTokens=conversation.max_tokens or options.max_tokens,
        temperature=_temperature(conversation, losses),
        topP=conversation.top_p,
        stopSequences=_stop(conversation, losses),
    )
    tools = _tools(conversation)
    members = without_none(
        system=_system(conversation, losses) or None,
        messages=TurnWriter(conversation, losses).messages(),
        inferenceConfig=inference,
        toolConfig=_tool_config(conversation, tools),
        serviceTier=_tier(conversation, losses),
    )
    if conversation.output is not None and conversation.output.schema:
        members["outputConfig"] = {"textFormat": _text_format(conversation)}
    additional: dict[str, Any] = without_none(top_k=conversation.top_k)
    _think(members, additional, conversation, options, losses)
    if additional:
        members["additionalModelRequestFields"] = additional
    return Written(members, losses.names)


def _system(conversation: Conversation, losses: Losses) -> list[dict[str, Any]]:
    texts = [text for text in conversation.system if text.text.strip()]
    if not conversation.turns:  # then they are the first turn
        texts = []
    if conversation.output is not None and not conversation.output.schema:
        losses.drop("output")
        texts.append(Text(_ANY_OBJECT))
    choice = conversation.tool_choice
    if choice is not None and choice.mode == "none" and _has_calls(conversation):
        texts.append(Text(_NO_CALLS))
    blocks: list[dict[str, Any]] = []
    for text in texts:
        blocks += [{"text": text.text}, *cache_point(text.cache)]
    return blocks


def _temperature(conversation: Conversation, losses: Losses) -> int | float | None:
    asked = conversation.temperature
    if asked is None or asked <= _MAX_TEMPERATURE:
        return asked
    losses.drop("temperature")
    return _MAX_TEMPERATURE


def _stop(conversation: Conversation, losses: Losses) -> list[str] | None:
    usable = [stop for stop in conversation.stop if stop.strip()]
    if len(usable) < len(conversation.stop):
        losses.drop("stop")
    return usable or None


def _tier(conversation: Conversation, losses: Losses) -> dict[str, str] | None:
    asked = conversation.service_tier
    if asked in (None, "auto"):
        return None
    if asked not in _TIERS:
        losses.drop("service_tier")
        return None
    return {"type": _TIERS[asked]}


def _has_calls(conversation: Conversation) -> bool:
    parts = (part for turn in conversation.turns for part in turn.parts)
    return any(isinstance(part, ToolCall | ToolResult) for part in parts)


def _tools(conversation: Conversation) -> tuple[Tool, ...]:
    """Return the tools: those that are allowed, or, for a history with calls, those it names."""
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


def _text_format(conversation: Conversation) -> dict[str, Any]:
    output = conversation.output
    assert output is not None  # noqa: S101 - as the caller has seen
    schema = without_none(
        schema=output.schema.decode(),
        name=output.name or None,
        description=output.description or None,
    )
    return {"type": "json_schema", "structure": {"jsonSchema": schema}}


def _think(
    members: dict[str, Any],
    additional: dict[str, Any],
    conversation: Conversation,
    options: DialectOptions,
    losses: Losses,
) -> None:
    """Switch thinking on as Claude models have it, and take out what they refuse beside it."""
    thinking = conversation.thinking
    if thinking is None or is_off(thinking):
        return
    budget = thinking.budget
    if options.thinking == "budget" or (options.thinking == "auto" and budget is not None):
        budget = max(budget_of(thinking, options.budgets) or 0, MIN_BUDGET)
    else:
        budget = None
    choice = members.get("toolConfig", {}).get("toolChoice", {})
    lacks_proof = budget is not None and _lacks_reasoning(conversation)
    if options.thinking == "off" or choice.keys() & {"any", "tool"} or lacks_proof:
        losses.drop("thinking")
        return
    inference = members["inferenceConfig"]
    if budget is None:
        additional["thinking"] = {"type": "adaptive"}
        if thinking.effort is not None:
            effort = _EFFORTS.get(thinking.effort, thinking.effort)
            members["outputConfig"] = members.get("outputConfig", {}) | {"effort": effort}
    else:
        additional["thinking"] = {"type": "enabled", "budget_tokens": budget}
        if inference["maxTokens"] <= budget:
            inference["maxTokens"] += budget
    if inference.get("temperature", 1) != 1:
        del inference["temperature"]
        losses.drop("temperature")
    if additional.pop("top_k", None) is not None:
        losses.drop("top_k")
    if inference.get("topP", 1) < _MIN_TOP_P:
        del inference["topP"]
        losses.drop("top_p")


def _lacks_reasoning(conversation: Conversation) -> bool:
    """Whether the last turn with calls begins without reasoning that Bedrock can verify."""
    for turn in reversed(conversation.turns):
        if turn.role == "assistant" and any(isinstance(part, ToolCall) for part in turn.parts):
            first = turn.parts[0]
            proof = first.proof if isinstance(first, Reasoning) else None
            return proof is None or proof.dialect != LETTER
    return False
