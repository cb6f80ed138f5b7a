"""Opens stores by URL: of limits, and of cached responses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from ..._core.caching.store import CacheStore
from ..._core.limiting.claims import Store
from ...exceptions import ConfigError, Problem
from .memory import MemoryStore
from .memory_cache import MemoryCache

__all__ = ["ClosableStore", "SharedStore", "open_cache", "open_responses", "open_store"]


@runtime_checkable
class ClosableStore(Protocol):
    """A store with connections; both methods first send queued settlements."""

    def close(self) -> None:
        """Close the connections of threads."""

    async def aclose(self) -> None:
        """Close those of the running event loop."""


@runtime_checkable
class SharedStore(Protocol):
    """A store outside of this process, which may be away."""

    @property
    def is_away(self) -> bool:
        """Whether it could not be used at the last attempt."""


def open_store(url: str, *, timeout_s: float, prefix: str) -> Store:
    """Return the store of limits, without connecting yet.

    Raises:
        ConfigError: the library for it is not installed, or refuses the URL.
    """
    if url == "memory:":
        return MemoryStore()
    with _opening("LLM_MESH_STORE"):
        from .redis_store import RedisStore  # takes 0.2 s

        return RedisStore(url, timeout_s=timeout_s, prefix=prefix)


def open_cache(url: str, *, timeout_s: float, prefix: str) -> CacheStore:
    """Return the store of cached responses, as `open_store`."""
    if url == "memory:":
        return MemoryCache()
    with _opening("LLM_MESH_CACHE_STORE"):
        from .redis_store import RedisCache

        return RedisCache(url, timeout_s=timeout_s, prefix=prefix)


def open_responses(url: str, *, timeout_s: float, prefix: str) -> CacheStore | None:
    """Return the store of responses' providers; None if each process has its own."""
    if url == "memory:":
        return None
    with _opening("LLM_MESH_STORE"):
        from .redis_store import RedisCache

        return RedisCache(url, timeout_s=timeout_s, prefix=prefix, kind="response")


@contextmanager
def _opening(setting: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in ("redis", "hiredis"):
            raise
        message = "redis is missing: install llm-mesh-middleware[redis]"
        raise ConfigError([Problem(setting, 0, 0, "", message)]) from None
    except ValueError as exc:
        raise ConfigError([Problem(setting, 0, 0, "", str(exc))]) from None
