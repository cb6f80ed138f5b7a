"""Log lines about silent failures (once, or once a minute each) and about dropped fields."""

from __future__ import annotations

import difflib
import logging
import time
from collections.abc import Callable, Iterable

from .._core.http.hosts import normalise_host
from .seldom import Seldom

__all__ = ["MisspeltHosts", "RefusedKeys", "UnreadResponses", "log_dropped"]

logger = logging.getLogger("llm_mesh_middleware")

_MAX_HOSTS = 1024  # an application that calls more hosts than that has no typo in one
_NEAR = 0.85
_MAX_CODING = 32


def log_dropped(host: str, names: tuple[str, ...]) -> None:
    """Log at level DEBUG what is dropped between the dialects of a client and a provider."""
    logger.debug(
        "the dialects of the client and of provider %s differ, so there is no place for: %s",
        host,
        ", ".join(names),
    )


class RefusedKeys:
    """Logs that a provider refuses the mesh's key, at most once a minute for each provider.

    Otherwise the client would look for the fault in its own key.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._warnings = Seldom()

    def __call__(self, host: str, status: int) -> None:
        """Log a response with status 401 or 403."""
        if not self._warnings.allows(host, self._clock()):
            return
        logger.warning(
            "provider %s responded with %d: it refuses the key of the mesh, not the client's; check"
            " apiKey or apiKeyFrom of its LLMProvider",
            host,
            status,
        )


class UnreadResponses:
    """Logs that responses pass unread, at most once a minute for each provider and coding.

    Otherwise their tokens would be missing from records, costs and limits without a trace.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._warnings = Seldom()

    def __call__(self, host: str, coding: bytes) -> None:
        """Log a response whose content coding the mesh cannot decode."""
        name = repr(coding[:_MAX_CODING].decode("latin-1"))
        if self._warnings.allows(f"{host} {name}", self._clock()):
            logger.warning(
                "provider %s responded with Content-Encoding %s although identity was requested:"
                " such responses are passed on unread, so their tokens and costs are not counted",
                host,
                name,
            )


class MisspeltHosts:
    """Logs once if a host that is called directly looks like a misspelt virtual host."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def check(self, authority: bytes, known: Callable[[], Iterable[str]]) -> None:
        """Check a call to a host that is not a virtual host."""
        if authority in self._seen or len(self._seen) >= _MAX_HOSTS:
            return
        self._seen.add(authority)
        host = normalise_host(authority)
        near = difflib.get_close_matches(host or "", known(), n=1, cutoff=_NEAR)
        if near:
            logger.warning(
                "%s is not a virtual host of the mesh, so it is called directly; did you mean %s?",
                host,
                near[0],
            )
