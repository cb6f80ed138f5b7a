"""The operations that list models: `GET */models` and `GET */models/{id}`.

Several dialects have the same path; they are distinguished by a header of their SDKs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from urllib.parse import unquote

import msgspec

from .._core.dialect import ServedOperation
from .._core.values.headers import Headers
from . import anthropic, gemini, openai_chat

__all__ = ["MODEL", "MODELS"]

_SUFFIX = "/models"


class _Form(Protocol):
    def write_model(self, name: str) -> dict[str, object]: ...

    def write_models(self, names: Sequence[str]) -> dict[str, object]: ...


_FORMS: tuple[tuple[str, _Form], ...] = (
    ("anthropic-version", anthropic.DIALECT),
    ("x-goog-api-key", gemini.DIALECT),
)


def _form(headers: Headers) -> _Form:
    for field, form in _FORMS:
        if headers.get(field) is not None:
            return form
    return openai_chat.DIALECT


def _write_all(headers: Headers, path: str, names: Sequence[str]) -> bytes:
    return msgspec.json.encode(_form(headers).write_models(names))


def _write_one(headers: Headers, path: str, names: Sequence[str]) -> bytes | None:
    _, _, name = path.partition(f"{_SUFFIX}/")
    name = unquote(name.removesuffix("/"))
    return msgspec.json.encode(_form(headers).write_model(name)) if name in names else None


MODELS = ServedOperation(
    "models", _SUFFIX, dialect=openai_chat.DIALECT, method="GET", write_models=_write_all
)
MODEL = ServedOperation(
    "model", _SUFFIX, dialect=openai_chat.DIALECT, method="GET", write_models=_write_one
)
