"""Settings of Claude models for length, sampling and thinking, in either of their APIs.

| requested | sent |
|---|---|
| no limit of tokens | the configured limit: the APIs require one |
| a temperature above 1 | 1; named as dropped |
| an effort | adaptive thinking with that effort, or a budget if so configured |
| a budget | enabled thinking; the limit of tokens is raised above the budget |
| thinking and a forced tool | no thinking: the models refuse both together |
| thinking after calls without proved reasoning | no thinking, where it takes a budget |
| thinking and a temperature, `top_k` or a low `top_p` | thinking; the others are named as dropped |
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..._core.conversation.parts import Reasoning, ToolCall
from ..._core.conversation.request import Conversation
from ..._core.conversation.writing import DialectOptions, Losses
from ..translation.thinking import MIN_BUDGET, budget_of, is_off

__all__ = ["Sampling", "choose_sampling", "has_own_proof", "stop_sequences"]

_MAX_TEMPERATURE = 1
_MIN_TOP_P = 0.95  # with thinking
_EFFORTS = {"minimal": "low"}


class Sampling(msgspec.Struct, frozen=True):
    """The members for length, sampling and thinking; `thinking` is the API's own object."""

    max_tokens: int
    temperature: int | float | None = None
    top_p: int | float | None = None
    top_k: int | None = None
    thinking: dict[str, Any] | None = None
    effort: str | None = None


def choose_sampling(
    conversation: Conversation, options: DialectOptions, losses: Losses, *, verifier: str
) -> Sampling:
    """Return the members of a request to a Claude model.

    Args:
        conversation: the client's request.
        options: the configuration of requests to the provider.
        losses: records dropped fields.
        verifier: the letter of the dialect whose proofs the provider can verify.
    """
    max_tokens, top_p = conversation.max_tokens or options.max_tokens, conversation.top_p
    top_k, temperature = conversation.top_k, conversation.temperature
    if temperature is not None and temperature > _MAX_TEMPERATURE:
        losses.drop("temperature")
        temperature = _MAX_TEMPERATURE
    if not _thinks(conversation, options, losses, verifier):
        return Sampling(max_tokens, temperature, top_p, top_k)
    if temperature not in (None, 1):
        losses.drop("temperature")
    losses.drop("top_k")
    if top_p is not None and top_p < _MIN_TOP_P:
        losses.drop("top_p")
        top_p = None
    temperature = 1 if temperature == 1 else None
    budget = _budget(conversation, options)
    if budget is not None:
        enabled = {"type": "enabled", "budget_tokens": budget}
        enough = max_tokens if max_tokens > budget else max_tokens + budget
        return Sampling(enough, temperature, top_p, thinking=enabled)
    requested = conversation.thinking.effort if conversation.thinking is not None else None
    effort = None if requested is None else _EFFORTS.get(requested, requested)
    adaptive = {"type": "adaptive"}
    return Sampling(max_tokens, temperature, top_p, thinking=adaptive, effort=effort)


def _thinks(
    conversation: Conversation, options: DialectOptions, losses: Losses, verifier: str
) -> bool:
    """Return whether thinking is requested; combinations that the models reject are dropped."""
    thinking, choice = conversation.thinking, conversation.tool_choice
    if thinking is None or is_off(thinking):
        return False
    is_forced = choice is not None and choice.mode in ("required", "tool")
    takes_budget = _budget(conversation, options) is not None
    if (
        options.thinking == "off"
        or (is_forced and conversation.tools)
        or (takes_budget and _lacks_reasoning(conversation, verifier))
    ):
        losses.drop("thinking")
        return False
    return True


def _budget(conversation: Conversation, options: DialectOptions) -> int | None:
    """Return the thinking budget; None leaves it to the model."""
    thinking = conversation.thinking
    if thinking is None or options.thinking == "adaptive":
        return None
    if options.thinking == "auto" and thinking.budget is None:
        return None
    return max(budget_of(thinking, options.budgets) or 0, MIN_BUDGET)


def _lacks_reasoning(conversation: Conversation, verifier: str) -> bool:
    """Return whether the last turn with calls does not begin with verifiable reasoning."""
    for turn in reversed(conversation.turns):
        if turn.role == "assistant" and any(isinstance(part, ToolCall) for part in turn.parts):
            first = turn.parts[0]
            return not (isinstance(first, Reasoning) and has_own_proof(first, verifier))
    return False


def has_own_proof(part: Reasoning, verifier: str) -> bool:
    """Return whether the provider can verify the reasoning; it refuses a foreign proof."""
    return part.proof is not None and part.proof.dialect == verifier


def stop_sequences(conversation: Conversation, losses: Losses) -> list[str] | None:
    """Return the stop sequences, without those of white space, which the models reject."""
    if not conversation.stop:
        return None
    usable = [stop for stop in conversation.stop if stop.strip()]
    if len(usable) < len(conversation.stop):
        losses.drop("stop")
    return usable or None
