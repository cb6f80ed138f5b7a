"""Writes a conversation as a `generateContent` request."""

from __future__ import annotations

from typing import Any

import msgspec

from ...._core.conversation.parts import Image
from ...._core.conversation.request import Conversation, Tool
from ...._core.conversation.writing import DialectOptions, Losses, Written
from ...objects import read_object
from ...translation.texts import flat_parts, without_none
from ...translation.thinking import budget_of, effort_of, is_off
from ...translation.tools import describe, schema_of
from .contents import RESOLUTIONS, ContentWriter

__all__ = ["write_request"]

_MAX_STOPS, _MAX_CHOICES = 5, 8
_MODES = {"auto": "AUTO", "required": "ANY", "none": "NONE", "tool": "ANY"}
_TIERS = {"default": "standard", "flex": "flex", "priority": "priority"}
_BUDGETS = {
    "minimal": 512,
    "low": 1024,
    "medium": 8192,
    "high": 24_576,
    "xhigh": 32_768,
    "max": 32_768,
}
_LEVELS = {
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}


# A member of the client's, and its members here.
_IMAGES = "image_config"
_IMAGE_CONFIG = {"aspect_ratio": "aspectRatio", "image_size": "imageSize"}
_KNOWN = frozenset((_IMAGES,))


def write_request(conversation: Conversation, options: DialectOptions) -> Written:
    """Return a conversation as the members of a request.

    Raises:
        UnsupportedField: The Gemini API lacks a requested feature.
    """
    losses = Losses(conversation, options, "the Gemini API")
    losses.refuse_choices(_MAX_CHOICES)
    losses.drop("logit_bias", "verbosity")
    losses.drop_extra(_KNOWN)
    if conversation.parallel_tool_calls is False:
        losses.drop_named(conversation.name_of("parallel_tool_calls"))
    members = without_none(
        systemInstruction=_system(conversation),
        contents=ContentWriter(conversation, losses).contents(),
        tools=_tools(conversation),
        toolConfig=_tool_config(conversation),
        generationConfig=_generation_config(conversation, options, losses) or None,
        serviceTier=losses.tier(_TIERS),
    )
    return Written(members, losses.names)


def _system(conversation: Conversation) -> dict[str, Any] | None:
    parts = [{"text": text.text} for text in conversation.system if text.text]
    if not parts or not conversation.turns:  # then they are the first turn
        return None
    return {"parts": parts}


def _tools(conversation: Conversation) -> list[dict[str, Any]] | None:
    """Return the tools, all in one object: several are refused."""
    if not conversation.tools:
        return None
    return [{"functionDeclarations": list(map(_tool, conversation.tools))}]


def _tool(tool: Tool) -> dict[str, Any]:
    return without_none(
        name=tool.name, description=describe(tool), parametersJsonSchema=schema_of(tool)
    )


def _tool_config(conversation: Conversation) -> dict[str, Any] | None:
    choice = conversation.tool_choice
    if choice is None or not conversation.tools:
        return None
    mode = _MODES[choice.mode]
    names = [choice.name] if choice.mode == "tool" else list(choice.allowed)
    if names and mode == "AUTO":
        mode = "VALIDATED"
    return {"functionCallingConfig": without_none(mode=mode, allowedFunctionNames=names or None)}


def _generation_config(
    conversation: Conversation, options: DialectOptions, losses: Losses
) -> dict[str, Any]:
    config = without_none(
        maxOutputTokens=conversation.max_tokens,
        temperature=conversation.temperature,
        topP=conversation.top_p,
        topK=conversation.top_k,
        stopSequences=_stop(conversation, losses),
        seed=conversation.seed,
        frequencyPenalty=conversation.frequency_penalty,
        presencePenalty=conversation.presence_penalty,
        candidateCount=conversation.n if (conversation.n or 1) > 1 else None,
        responseLogprobs=conversation.logprobs or None,
        logprobs=conversation.top_logprobs if conversation.logprobs else None,
        imageConfig=_image_config(conversation, losses) if _IMAGES in conversation.extra else None,
        responseModalities=_modalities(conversation) if conversation.modalities else None,
        mediaResolution=_resolution(conversation),
        thinkingConfig=_thinking(conversation, options, losses),
    )
    output = conversation.output
    if output is not None:
        config["responseMimeType"] = "application/json"
        if output.schema:
            config["responseJsonSchema"] = msgspec.Raw(output.schema)
    return config


def _image_config(conversation: Conversation, losses: Losses) -> dict[str, str] | None:
    """Return the form of images, as OpenRouter's clients of chat completions ask for it."""
    found: dict[str, str] = {}
    for name, value in read_object(bytes(conversation.extra[_IMAGES])).items():
        if name in _IMAGE_CONFIG and isinstance(value, str):
            found[_IMAGE_CONFIG[name]] = value
        else:
            losses.drop_named(f"{_IMAGES}.{name}")
    return found or None


def _modalities(conversation: Conversation) -> list[str]:
    return [one.upper() for one in conversation.modalities]


def _resolution(conversation: Conversation) -> str | None:
    """Return the highest resolution that is requested for an image."""
    images = (
        part
        for turn in conversation.turns
        for part in flat_parts(turn.parts)
        if isinstance(part, Image)
    )
    details = {image.detail for image in images}
    return next((RESOLUTIONS[one] for one in ("high", "low") if one in details), None)


def _stop(conversation: Conversation, losses: Losses) -> list[str] | None:
    usable = [stop for stop in conversation.stop if stop][:_MAX_STOPS]
    if len(usable) < len(conversation.stop):
        losses.drop("stop")
    return usable or None


def _thinking(
    conversation: Conversation, options: DialectOptions, losses: Losses
) -> dict[str, Any] | None:
    """Return the thinking budget, which all versions accept, or a level if configured."""
    thinking = conversation.thinking
    if thinking is None:
        return None
    if options.thinking == "off":
        losses.drop("thinking")
        return None
    if is_off(thinking):
        return {"thinkingBudget": 0}
    config: dict[str, Any] = {"includeThoughts": thinking.shows is not False}
    if options.thinking == "adaptive":
        level = _LEVELS.get(effort_of(thinking) or "")
        return config | ({"thinkingLevel": level} if level else {})
    budget = budget_of(thinking, _BUDGETS | dict(options.budgets))
    return config | ({"thinkingBudget": budget} if budget else {})
