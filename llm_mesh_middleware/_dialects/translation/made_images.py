"""Moves images that a model has made to a turn of the user, for APIs without a place for them.

    assistant  text, image, call          text, call
    user       result, text          ──►  result, image, text

The model sees the image that the user speaks of, if not as its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from ..._core.conversation.parts import Image, Part, ToolResult
from ..._core.conversation.request import Conversation, Turn
from ..._core.conversation.writing import Losses

__all__ = ["has_source", "with_images_at_users"]

Judge = Callable[[Image], bool]


def with_images_at_users(
    conversation: Conversation,
    losses: Losses,
    takes: Judge,
    *,
    stays: Judge | None = None,
) -> Conversation:
    """Return a conversation with the assistant's images in the user's next turn.

    Args:
        conversation: the conversation; without such images it is returned unchanged.
        losses: records images that are dropped.
        takes: returns whether a turn of the user can have an image; otherwise it is dropped.
        stays: returns whether an image has a place among the parts of the assistant; None if
            there is none.
    """
    for turn in conversation.turns:
        if turn.role == "assistant":
            for part in turn.parts:
                if part.__class__ is Image:
                    turns = tuple(_moved(conversation, losses, takes, stays))
                    return replace(conversation, turns=turns)
    return conversation


def has_source(image: Image) -> bool:
    """Return whether an image is more than a file's id."""
    return bool(image.data or image.url)


def _moved(
    conversation: Conversation, losses: Losses, takes: Judge, stays: Judge | None
) -> Iterator[Turn]:
    pending: list[Part] = []
    for turn in conversation.turns:
        if turn.role == "assistant":
            parts: list[Part] = []
            for part in turn.parts:
                if not isinstance(part, Image) or (stays is not None and stays(part)):
                    parts.append(part)
                elif takes(part):
                    pending.append(part)
                else:
                    losses.drop_named(conversation.name_of("images"))
            if parts:
                yield Turn("assistant", tuple(parts))
        elif turn.role == "user" and pending:
            results = [part for part in turn.parts if isinstance(part, ToolResult)]
            others = [part for part in turn.parts if not isinstance(part, ToolResult)]
            yield Turn("user", (*results, *pending, *others))
            pending = []
        else:
            yield turn
    if pending:
        yield Turn("user", tuple(pending))
