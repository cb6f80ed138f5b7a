"""Creates clients of the Redis server."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import redis
import redis.asyncio
import redis.asyncio.retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError
from redis.retry import Retry

__all__ = ["FAILURES", "Address"]

# The errors of a server that is away, slow or out of memory.
FAILURES = (RedisError, RedisClusterException, OSError, TimeoutError)


class Address(NamedTuple):
    """A URL, which may hold a password, without the `+cluster` of its scheme."""

    url: str
    is_cluster: bool
    timeout_s: float

    @classmethod
    def of(cls, url: str, timeout_s: float) -> Address:
        """Read a URL of the settings.

        Raises:
            ValueError: Redis's library refuses it; the message repeats nothing of it.
        """
        parts = urlsplit(url)
        scheme, _, rest = parts.scheme.partition("+")
        plain = urlunsplit(parts._replace(scheme=scheme)) if rest else url
        try:  # without this, each request would fail
            redis.ConnectionPool.from_url(plain).make_connection()
        except (TypeError, ValueError):
            raise ValueError("cannot be read by redis-py: check its path and its query") from None
        return cls(plain, rest == "cluster", timeout_s)

    def client(self) -> Any:
        """Return a client for threads; one of a cluster connects when it is made."""
        made: Any = redis.RedisCluster if self.is_cluster else redis.Redis
        return made.from_url(self.url, **self._options(Retry))

    def async_client(self) -> Any:
        """Return a client for one event loop."""
        made: Any = redis.asyncio.RedisCluster if self.is_cluster else redis.asyncio.Redis
        return made.from_url(self.url, **self._options(redis.asyncio.retry.Retry))

    def async_pool(self) -> Any:
        """Return a connection pool for one event loop.

        Only connecting has a timeout here; the callers limit everything else.
        """
        options = {**self._options(redis.asyncio.retry.Retry), "socket_timeout": None}
        return redis.asyncio.ConnectionPool.from_url(self.url, **options)

    def _options(self, retry: Any) -> dict[str, Any]:
        """Return options of a client that waits at most the timeout, and never retries."""
        return {
            "socket_timeout": self.timeout_s,
            "socket_connect_timeout": self.timeout_s,
            "retry": retry(NoBackoff(), 0),
            "health_check_interval": 0,
            "decode_responses": False,
        }
