"""The store that a URL names."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ..._core.limiting.claims import Store
from ...exceptions import ConfigError, Problem
from .memory import MemoryStore

__all__ = ["ClosableStore", "SharedStore", "open_store"]


@runtime_checkable
class ClosableStore(Protocol):
    """A store with connections; both methods wait until what is queued is settled."""

    def close(self) -> None:
        """Close the connections of threads."""

    async def aclose(self) -> None:
        """Close those of the running event loop."""


@runtime_checkable
class SharedStore(Protocol):
    """A store outside of this process, which may be away."""

    @property
    def is_away(self) -> bool:
        """Whether it cannot be used now, as far as is known."""


def open_store(url: str, *, timeout_s: float, prefix: str) -> Store:
    """Return the store; nothing is connected to yet.

    Raises:
        ConfigError: the library for it is not installed.
    """
    if url == "memory:":
        return MemoryStore()
    try:
        from .redis_store import RedisStore  # 0.2 s, and only those who use it need it
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] != "redis":
            raise
        message = "redis is missing: install llm-mesh-middleware[redis]"
        raise ConfigError([Problem("LLM_MESH_STORE", 0, 0, "", message)]) from None
    return RedisStore(url, timeout_s=timeout_s, prefix=prefix)
