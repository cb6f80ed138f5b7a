"""Signs of life for a client that waits for a stream (`LLM_MESH_SSE_KEEPALIVE`).

Load balancers cut connections that are silent for a minute; reasoning models are silent for longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine

from .delivery import AsyncDelivery

__all__ = ["COMMENT", "kept_alive", "open_kept_alive"]

COMMENT = b": keep-alive\n\n"


async def open_kept_alive(
    opening: Coroutine[object, object, AsyncDelivery],
    interval_s: float,
    on_silence: Callable[[], Awaitable[None]],
) -> AsyncDelivery:
    """Await `opening`; call `on_silence` whenever `interval_s` has passed without a result."""
    task = asyncio.create_task(opening)
    try:
        while not (await asyncio.wait((task,), timeout=interval_s))[0]:
            await on_silence()
    except BaseException:
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled() and task.exception() is None:
            await task.result().aclose()
        raise
    return task.result()


async def kept_alive(delivery: AsyncDelivery, interval_s: float) -> AsyncGenerator[bytes, None]:
    """What is read, which is whole events, and a comment whenever nothing came in time."""
    item: asyncio.Task[bytes] | None = None
    try:
        while True:
            item = asyncio.create_task(delivery.read())
            while not (await asyncio.wait((item,), timeout=interval_s))[0]:
                yield COMMENT
            data = item.result()
            if not data:
                return
            yield data
    finally:
        if item is not None and not item.done():
            item.cancel()
            await asyncio.wait((item,))
