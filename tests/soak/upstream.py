"""The provider of a soak run, a process of its own: `python -m tests.soak.upstream`.

The first message of a chat says how it is answered, up to a comma; nothing is kept of any request.
Answers that are held go on when `release` is asked for; `count` says how many wait, or are to be
given up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

from llm_mesh_middleware.testing import chat_completion, chat_stream

EVENTS = chat_stream(["Good ", "morning ", "to ", "you"])
_EVENT_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


def _whole(status: int, body: object, *, connection: str = "keep-alive") -> bytes:
    data = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n"
        f"connection: {connection}\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


_ANSWERS = {
    "unary": _whole(200, chat_completion("Good morning to you")),
    "once": _whole(200, chat_completion("Good morning to you"), connection="close"),
    "refused": _whole(400, {"error": {"message": "no", "type": "t", "param": None, "code": "c"}}),
    "down": _whole(500, {}),
    "half": _whole(200, chat_completion("Good morning"))[:-20],
    "closed": b"",
    "stream": _EVENT_STREAM + b"".join(EVENTS),
    "broken": _EVENT_STREAM + b"".join(EVENTS[:2]),
    "held": _EVENT_STREAM + b"".join(EVENTS[:2]),
    "left in the stream": _EVENT_STREAM + b"".join(EVENTS[:2]),
    "left before it": b"",
}
_KEEPS = frozenset(("unary", "refused", "down", "count", "release"))


class _Provider:
    """What all its connections share."""

    def __init__(self) -> None:
        self._waiting = 0
        self._released = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of the mesh, or of the run itself."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                content = json.loads(await reader.readexactly(length))["messages"][0]["content"]
                kind = content.partition(",")[0]
                writer.write(_ANSWERS.get(kind) or self._tell(kind))
                await writer.drain()
                if kind == "held" or kind.startswith("left"):
                    await self._wait(kind, reader, writer)
                if kind not in _KEEPS:
                    break
        writer.close()

    async def _wait(
        self, kind: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._waiting += 1
        try:
            if kind == "held":
                await self._released.wait()
                writer.write(b"".join(EVENTS[2:]))
            else:
                await reader.read()  # until the mesh gives it up
        finally:
            self._waiting -= 1

    def _tell(self, kind: str) -> bytes:
        if kind == "release":
            self._released.set()
            self._released = asyncio.Event()
        return _whole(200, self._waiting) if kind in _KEEPS else b""


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.start_server(_Provider().serve, "127.0.0.1", 0, backlog=4096)
    print(f"running on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
