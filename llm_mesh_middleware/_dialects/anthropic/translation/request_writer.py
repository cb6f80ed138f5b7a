"""A conversation as a Messages request to a provider.

| asked for | sent |
|---|---|
| no limit of tokens | `max_tokens` as configured: the API needs one |
| a temperature above 1 | 1; named as dropped |
| any JSON object | a sentence among the instructions; named as dropped |
| one call at a time | `disable_parallel_tool_use` on the tool choice |
| no tools, but calls in the history | the tools that the history names, and the choice of none |
| an effort | adaptive thinking with that effort, or a budget if so configured |
| a budget | enabled thinking; the limit of tokens is raised above the budget |
| thinking and a forced tool | no thinking: the API refuses both together |
| thinking after calls without proved reasoning | no thinking, where it takes a budget |
"""

from __future__ import annotations

from typing import Any

import msgspec

from ...._core.conversation.parts import Reasoning, Text, ToolCall
from ...._core.conversation.request import Conversation, Tool
from ...._core.conversation.writing import DialectOptions, Losses, Written
from ...translation.texts import without_none
from ...translation.thinking import MIN_BUDGET, budget_of, is_off
from ...translation.tools import describe, named_tools, object_schema, offered_tools
from .messages_writer import MessageWriter, cache_mark

__all__ = ["write_request"]

_VERSION = "2023-06-01"
_MAX_TEMPERATURE = 1
_MIN_TOP_P = 0.95  # with thinking

_ANY_OBJECT = "Answer with one JSON object and nothing else."
_TIERS = {"auto": "auto", "default": "standard_only"}
_EFFORTS = {"minimal": "low"}


def write_request(
    conversation: Conversation, options: DialectOptions, *, model: str | None, streams: bool
) -> Written:
    """Return a conversation as the members of a Messages request.

    Raises:
        UnsupportedField: It asks for what the Messages API cannot say.
    """
    losses = Losses(conversation, options, "the Messages API")
    if conversation.n is not None and conversation.n > 1:
        losses.refuse(conversation.name_of("n"))
    if conversation.logprobs:
        losses.refuse(conversation.name_of("logprobs"))
    losses.drop("seed", "frequency_penalty", "presence_penalty", "logit_bias", "verbosity")
    losses.drop_extra()
    tools, choice = _tools(conversation)
    members = without_none(
        model=model,
        max_tokens=conversation.max_tokens or options.max_tokens,
        system=_system(conversation, losses),
        messages=MessageWriter(conversation, losses).messages(),
        tools=tools or None,
        tool_choice=choice,
        temperature=_temperature(conversation, losses),
        top_p=conversation.top_p,
        top_k=conversation.top_k,
        stop_sequences=_stop(conversation, losses),
        metadata=None if conversation.user is None else {"user_id": conversation.user},
        service_tier=_tier(conversation, losses),
    )
    output = conversation.output
    if output is not None and output.schema:
        form = {"type": "json_schema", "schema": msgspec.Raw(output.schema)}
        members["output_config"] = {"format": form}
    _think(members, conversation, options, losses)
    if streams:
        members["stream"] = True
    version = (options.version or _VERSION).encode()
    return Written(members, losses.names, ((b"anthropic-version", version),))


def _system(conversation: Conversation, losses: Losses) -> str | list[dict[str, Any]] | None:
    texts = [text for text in conversation.system if text.text.strip()]
    if conversation.output is not None and not conversation.output.schema:
        losses.drop("output")
        texts.append(Text(_ANY_OBJECT))
    if not texts or not conversation.turns:  # then they are the first turn
        return None
    if len(texts) == 1 and texts[0].cache is None:
        return texts[0].text
    return [{"type": "text", "text": text.text} | cache_mark(text.cache) for text in texts]


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


def _tier(conversation: Conversation, losses: Losses) -> str | None:
    asked = conversation.service_tier
    if asked is not None and asked not in _TIERS:
        losses.drop("service_tier")
    return _TIERS.get(asked or "")


def _tools(conversation: Conversation) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return the tools and the choice among them.

    A history with calls needs tools, so those that it names are given where the client gives none.
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


def _think(
    members: dict[str, Any], conversation: Conversation, options: DialectOptions, losses: Losses
) -> None:
    """Switch thinking on as the client asks, and take out what the API refuses beside it."""
    thinking = conversation.thinking
    if thinking is None:
        return
    if is_off(thinking):
        members["thinking"] = {"type": "disabled"}
        return
    budget = _budget(conversation, options)
    choice = members.get("tool_choice", {}).get("type")
    lacks_proof = budget is not None and _lacks_reasoning(conversation)
    if options.thinking == "off" or choice in ("any", "tool") or lacks_proof:
        losses.drop("thinking")
        return
    if budget is None:
        members["thinking"] = {"type": "adaptive"}
        if thinking.effort is not None:
            effort = _EFFORTS.get(thinking.effort, thinking.effort)
            members["output_config"] = members.get("output_config", {}) | {"effort": effort}
    else:
        budget = max(budget, MIN_BUDGET)
        members["thinking"] = {"type": "enabled", "budget_tokens": budget}
        if members["max_tokens"] <= budget:
            members["max_tokens"] += budget
    if members.get("temperature", 1) != 1:
        del members["temperature"]
        losses.drop("temperature")
    if members.pop("top_k", None) is not None:
        losses.drop("top_k")
    if members.get("top_p", 1) < _MIN_TOP_P:
        del members["top_p"]
        losses.drop("top_p")


def _budget(conversation: Conversation, options: DialectOptions) -> int | None:
    """Return the tokens to think with; None leaves them to the model."""
    thinking = conversation.thinking
    if thinking is None or options.thinking == "adaptive":
        return None
    if options.thinking == "auto" and thinking.budget is None:
        return None
    return budget_of(thinking, options.budgets) or MIN_BUDGET


def _lacks_reasoning(conversation: Conversation) -> bool:
    """Whether the last turn with calls begins without reasoning that Anthropic can verify."""
    for turn in reversed(conversation.turns):
        if turn.role == "assistant" and any(isinstance(part, ToolCall) for part in turn.parts):
            first = turn.parts[0]
            is_proved = isinstance(first, Reasoning) and first.proof is not None
            return not (is_proved and first.proof.dialect == "a")  # type: ignore[union-attr]
    return False
