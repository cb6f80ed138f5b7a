"""The reports of a server's workers to each other, over sockets in a private folder.

    request    the number of the last call that it knows, and a line feed
    reply      a `Report` in MessagePack, and the end of the connection

A worker is asked only while the view has viewers. Only processes of the same user can open the
folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ...view import MeshView
from ...view.values import Report

__all__ = ["PeerReports", "serve_reports"]

_LIMIT_S = 0.5
_PIECE = 1 << 16
_SUFFIX = ".sock"


class PeerReports:
    """Asks the other workers that meet in `folder`."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._own = _path(folder)
        self._decoder = msgspec.msgpack.Decoder(Report)

    def reports(self, after: Callable[[int], int]) -> Sequence[Report]:
        """Return the reports of the others; one that does not reply in 0.5 s is skipped."""
        found = []
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            if path == self._own:
                continue
            try:
                found.append(self._decoder.decode(_ask(path, after(int(path.stem)))))
            except ConnectionRefusedError:  # it crashed and was replaced
                path.unlink(missing_ok=True)
            except (OSError, msgspec.MsgspecError, ValueError):
                continue
        return found


async def serve_reports(view: MeshView, folder: str) -> asyncio.Server:
    """Serve reports to the other workers in the running event loop."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            async with asyncio.timeout(_LIMIT_S):
                after = int(await reader.readline() or b"0")
                writer.write(msgspec.msgpack.encode(view.report(after=after)))
                await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(answer, _path(folder))


def _ask(path: Path, after: int) -> bytes:
    pieces = []
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(_LIMIT_S)
        peer.connect(str(path))
        peer.sendall(b"%d\n" % after)
        while piece := peer.recv(_PIECE):
            pieces.append(piece)
    return b"".join(pieces)


def _path(folder: str) -> Path:
    return Path(folder, f"{os.getpid()}{_SUFFIX}")
