"""The workers of one server tell each other what they have seen, over sockets in a private folder.

    asks      the number of the last call that it knows, and a line feed
    answers   a `Report` in MessagePack, and the end of the connection

A worker is asked only while the view has viewers. What it answers comes from a process of the
same user: the folder is closed to others.
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
        """Return what each of the others reports; one that does not answer soon is left out."""
        found = []
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            if path == self._own:
                continue
            try:
                found.append(self._decoder.decode(_ask(path, after(int(path.stem)))))
            except ConnectionRefusedError:  # it has crashed, and another took its place
                path.unlink(missing_ok=True)
            except (OSError, msgspec.MsgspecError, ValueError):
                continue
        return found


async def serve_reports(view: MeshView, folder: str) -> asyncio.Server:
    """Answer the other workers from the running event loop."""

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
