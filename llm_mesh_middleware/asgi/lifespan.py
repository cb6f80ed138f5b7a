"""The lifespan of an application, and of the connections of its mesh."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..mesh import Mesh
from .protocol import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Lifespan"]

logger = logging.getLogger("llm_mesh_middleware")


class Lifespan:
    """The app's own lifespan, with the mesh's connections closed before it ends.

    For an app that ignores it, or rejects the scope as Django's handler does, it is completed here:
    otherwise the server would not send its shutdown.
    """

    def __init__(self, mesh: Mesh, receive: Receive, send: Send) -> None:
        self._mesh = mesh
        self._server_receive = receive
        self._server_send = send
        self._phase: str | None = None
        self._has_answered = False

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Serve the lifespan scope."""
        self._mesh.warm_up()
        with _followed(self._mesh):
            await self._run(app, scope)

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._receive, self._send)
        except Exception as exc:
            if self._phase is not None:  # a failed start-up rather than a rejected scope
                raise
            kind = type(exc).__name__
            logger.info("the application takes no part in the lifespan: %s: %s", kind, exc)
        while not self._has_answered:
            phase = self._phase or (await self._server_receive())["type"]
            self._phase = None
            if phase == "lifespan.shutdown":
                await self._send({"type": "lifespan.shutdown.complete"})
            else:
                await self._server_send({"type": f"{phase}.complete"})

    async def _receive(self) -> Message:
        message = await self._server_receive()
        self._phase = message["type"]
        return message

    async def _send(self, message: Message) -> None:
        self._has_answered = True
        if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            await self._mesh.aclose()
        await self._server_send(message)


@contextmanager
def _followed(mesh: Mesh) -> Iterator[None]:
    """Reload changed manifests without requests too, so that a revoked key does not stay in use.

    A thread rather than a task: reading files and compiling must not hold up the event loop.
    """
    if not mesh.settings.reload_interval:
        yield
        return
    is_over = threading.Event()
    thread = threading.Thread(
        target=mesh._follow, args=(is_over,), name="llm-mesh-reload", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        is_over.set()
