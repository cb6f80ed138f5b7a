"""The provider of a soak run, a process of its own: `python -m tests.soak.upstream`.

The first message of a chat says what becomes of it; nothing is kept of any request.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

from llm_mesh_middleware.testing import chat_completion, chat_stream

EVENTS = chat_stream(["Good ", "morning ", "to ", "you"])
_EVENT_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


def _whole(status: int, body: object) -> bytes:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(data)}"
    return head.encode() + b"\r\n\r\n" + data


_ANSWERS = {
    "unary": _whole(200, chat_completion("Good morning to you")),
    "refused": _whole(400, {"error": {"message": "no", "type": "t", "param": None, "code": "c"}}),
    "down": _whole(500, {}),
    "half": _whole(200, chat_completion("Good morning"))[:-20],
    "closed": b"",
    "stream": _EVENT_STREAM + b"".join(EVENTS),
    "broken": _EVENT_STREAM + b"".join(EVENTS[:2]),
    "left in the stream": _EVENT_STREAM + b"".join(EVENTS[:2]),
    "left before it": b"",
}
_KEEPS = frozenset(("unary", "refused", "down"))


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection of the mesh."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            kind = json.loads(await reader.readexactly(length))["messages"][0]["content"]
            writer.write(_ANSWERS[kind])
            await writer.drain()
            if kind.startswith("left"):
                await reader.read()  # until the mesh gives it up
            if kind not in _KEEPS:
                break
    writer.close()


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print(f"running on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
