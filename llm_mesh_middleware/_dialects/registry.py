"""All dialects, and the operation that a client's path names."""

from __future__ import annotations

from collections.abc import Iterable

from .._core.values.operations import Operation
from . import anthropic, openai_chat, openai_responses
from .openai_chat import CHAT

__all__ = ["OPERATIONS", "OperationFinder"]

OPERATIONS: tuple[Operation, ...] = (
    *openai_chat.OPERATIONS,
    *openai_responses.OPERATIONS,
    *anthropic.OPERATIONS,
)


class OperationFinder:
    """Finds the operation that a path names on one virtual host.

    `own_paths` are the paths of the host's providers: chat, whatever they look like. So is `/`, as
    ASM's own examples have it.
    """

    __slots__ = ("_own_paths",)

    def __init__(self, own_paths: Iterable[str] = ()) -> None:
        self._own_paths = frozenset((*own_paths, "", "/"))

    def __call__(self, path: str) -> Operation | None:
        """Return the operation behind a client's path, or None."""
        for operation in OPERATIONS:
            if path.endswith(operation.asked_as or operation.suffix):
                return operation
        return CHAT if path in self._own_paths else None
