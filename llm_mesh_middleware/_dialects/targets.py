"""Request targets that contain the model, in place of `{model}` in a configured path."""

from __future__ import annotations

from urllib.parse import quote

from ..exceptions import MalformedRequest

__all__ = ["PLACE", "fill"]

PLACE = "{model}"


def fill(target: str, model: str | None) -> str:
    """Return a target with the model in place of `{model}`.

    The model is percent-encoded as one segment: an ARN has slashes, and the name of a model must
    not address another resource.

    Raises:
        MalformedRequest: the target needs a model and there is none.
    """
    if PLACE not in target:
        return target
    if not model:
        raise MalformedRequest(
            "the request names no model, and its provider needs one", param="model"
        )
    if model in (".", ".."):
        raise MalformedRequest(
            "the request names a model that cannot be part of a path", param="model"
        )
    return target.replace(PLACE, quote(model, safe=""))
