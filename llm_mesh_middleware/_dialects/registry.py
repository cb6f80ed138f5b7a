"""All dialects, and the operation that a client's path names."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from .._core.dialect import ServedOperation
from . import anthropic, gemini, openai_chat, openai_responses
from .model_lists import MODEL, MODELS
from .openai_chat import CHAT
from .translation.pair import ForeignAPI

__all__ = ["OPERATIONS", "OperationFinder", "foreign_api"]

OPERATIONS: tuple[ServedOperation, ...] = (
    *openai_chat.OPERATIONS,
    *openai_responses.OPERATIONS,
    *anthropic.OPERATIONS,
    *gemini.OPERATIONS,
    MODELS,
)

# The model of a provider's settings -> the package of its API, where no client speaks that.
_FOREIGN = {"BedrockConfig": "bedrock", "OllamaConfig": "ollama"}


def foreign_api(settings: str) -> ForeignAPI:
    """Return the API of providers by the model of their settings; few configurations use one."""
    api: ForeignAPI = import_module(f".{_FOREIGN[settings]}", __package__).API
    return api


# Clients choose the paths, so the cache is limited.
_MAX_PATHS, _MAX_PATH = 256, 128


class OperationFinder:
    """Finds the operation that a path names on one virtual host.

    `own` maps configured paths of the host's providers to operations, as they may have other
    suffixes. `root` is the operation of `/`: chat, as in ASM's examples, unless no provider of the
    host speaks it.
    """

    __slots__ = ("_found", "_own")

    def __init__(
        self, own: Mapping[str, ServedOperation] | None = None, root: ServedOperation = CHAT
    ) -> None:
        self._own = {**(own or {}), "": root, "/": root}
        self._found: dict[str, ServedOperation] = {}

    def find(self, path: str) -> ServedOperation | None:
        """Return the operation behind a client's path, or None."""
        known = self._found.get(path)
        if known is not None:
            return known
        operation = self._find(path)
        if operation is not None and len(path) <= _MAX_PATH:
            if len(self._found) >= _MAX_PATHS:
                self._found.clear()
            self._found[path] = operation
        return operation

    def _find(self, path: str) -> ServedOperation | None:
        if path[-1:] == "/" and path[-2:-1] not in ("", "/") and path not in self._own:
            path = path[:-1]
        for operation in OPERATIONS:
            if path.endswith(operation.client_suffix or operation.suffix):
                return operation
        return self._own.get(path) or (MODEL if "/models/" in path else None)
