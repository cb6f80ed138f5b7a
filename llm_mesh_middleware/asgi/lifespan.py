"""The lifespan of an application, and of the connections of its mesh."""

from __future__ import annotations

from ..mesh import Mesh
from .protocol import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Lifespan"]


class Lifespan:
    """The app's own lifespan, with the mesh's connections closed before it ends.

    An app that takes no part in it, or refuses the scope outright as Django's handler does, has it
    completed here: the server would else never tell that it is shutting down.
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
        try:
            await app(scope, self._receive, self._send)
        except Exception:
            if self._phase is not None:  # a start-up that failed, not a scope that is refused
                raise
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
