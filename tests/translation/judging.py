"""The official SDKs' own types as the judge of what a provider is sent."""

from __future__ import annotations

import os
import types
import typing
from collections.abc import Iterable
from functools import cache
from typing import Any, NotRequired, Required

import openai.types.chat.completion_create_params as chat_params
import openai.types.responses.response_create_params as responses_params
import typing_extensions
from anthropic.types import message_create_params as message_params
from pydantic import ConfigDict, TypeAdapter
from typing_extensions import TypedDict, is_typeddict

from llm_mesh_middleware.testing import RecordedRequest

__all__ = ["check_sent", "judged"]

_REQUESTS = {
    "/chat/completions": chat_params.CompletionCreateParamsBase,
    "/responses": responses_params.ResponseCreateParamsBase,
    "/messages": message_params.MessageCreateParamsBase,
}
# What the types leave to subclasses, and what the API takes of earlier models' clients still.
_BEYOND = {"context_management", "stream", "temperature", "top_k", "top_p"}


def check_sent(path: str, body: dict[str, Any]) -> None:
    """Raise ValidationError unless the body is what the provider's own SDK could have sent."""
    kind = next(kind for suffix, kind in _REQUESTS.items() if path.endswith(suffix))
    judged = {name: value for name, value in body.items() if name not in _BEYOND}
    _adapter(kind).validate_python(judged, strict=True)


def judged(request: RecordedRequest) -> Any:
    """Return the body of a request, which the provider's own SDK could have sent."""
    body = request.json()
    check_sent(request.path, body)
    return body


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(_strict(kind, {}))


def _strict(kind: Any, made: dict[Any, Any]) -> Any:
    """Return a type with lists for iterables, which pydantic reads lazily, and nothing unknown."""
    if is_typeddict(kind) or typing.is_typeddict(kind):
        if kind not in made:
            made[kind] = Any  # what refers to itself is judged once
            hints = typing_extensions.get_type_hints(kind, include_extras=True)
            members = {}
            for name, hint in hints.items():
                origin = typing_extensions.get_origin(hint)
                inner = (
                    typing_extensions.get_args(hint)[0]
                    if origin in (Required, NotRequired)
                    else hint
                )
                wrap: Any = Required if origin is Required else NotRequired
                members[name] = wrap[_strict(inner, made)]
            strict = TypedDict(kind.__name__, members)  # type: ignore[operator]
            strict.__pydantic_config__ = ConfigDict(extra="forbid")
            made[kind] = strict
        return made[kind]
    origin, args = typing_extensions.get_origin(kind), typing_extensions.get_args(kind)
    if origin in (typing.IO, os.PathLike) or kind is os.PathLike:
        return str  # a file that is sent by its name
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(_strict(arg, made) for arg in args)]  # noqa: UP007
    if origin is list or (
        isinstance(origin, type) and issubclass(origin, Iterable) and len(args) == 1
    ):
        return list[_strict(args[0], made)]  # type: ignore[misc]
    if origin is typing.Annotated:
        return _strict(args[0], made)
    return kind
