"""Items of tools that run at the provider: images, which are base64, and those that are lost."""

from __future__ import annotations

from typing import Any

from ...._core.conversation.parts import Image

__all__ = ["CALL", "DRAWS", "has_image", "image_item", "lost_name", "made_image"]

# The type of an item with an image.
CALL = "image_generation_call"

# The tool that makes images. Clients offer it along with others, so only one that is forced by the
# choice says that the answer must be an image.
DRAWS = "image_generation"

# Items of tools that run at the provider, by which what is lost is named.
_LOST = frozenset(
    (
        *("code_interpreter_call", "computer_call", "file_search_call", "local_shell_call"),
        *("mcp_approval_request", "mcp_call", "mcp_list_tools", "web_search_call", CALL),
    )
)


def lost_name(type: str) -> str:
    """Return the name of what is lost with an item of a type."""
    return f"response.{type if type in _LOST else 'item'}"


def has_image(image: Image) -> bool:
    """Return whether an item can have an image."""
    return bool(image.data)


def made_image(result: str, output_format: str | None) -> Image | None:
    """Return the image of an item; None if it is empty."""
    return Image(f"image/{output_format or 'png'}", result) if result else None


def image_item(image: Image, id: str) -> dict[str, Any]:
    """Return an image as an item."""
    form = image.media_type.removeprefix("image/")
    item = {"id": id, "type": CALL, "status": "completed", "result": image.data}
    return item | ({"output_format": form} if form else {})
