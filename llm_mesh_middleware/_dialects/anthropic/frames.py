"""Reads the events in the frames of Bedrock's InvokeModelWithResponseStream."""

from __future__ import annotations

import binascii
from base64 import b64decode

import msgspec

from ..._core.http.decoding import DecodingError
from ..._core.http.eventstream import Frame, FrameCutter, FrameError
from ..._core.http.sse import make_event, on_one_line
from ..aws_exceptions import frame_fault
from .errors import error_of_status

__all__ = ["FrameDecoder"]


class _Chunk(msgspec.Struct):
    bytes: str = ""


class _Type(msgspec.Struct):
    type: str = ""


_read_chunk = msgspec.json.Decoder(_Chunk).decode
_read_type = msgspec.json.Decoder(_Type).decode
_read_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

_METRICS = "amazon-bedrock-invocationMetrics"  # in the last event; not part of the Messages API
_METRICS_BYTES = _METRICS.encode()


class FrameDecoder:
    """Converts frames to the same server-sent events as those of the Messages API."""

    __slots__ = ("_cutter",)

    def __init__(self) -> None:
        self._cutter = FrameCutter()

    def feed(self, data: bytes) -> bytes:
        """Return the events of the frames that `data` completes.

        Raises:
            DecodingError: The bytes are not frames, or a frame holds no event.
        """
        events: list[bytes] = []
        try:
            for frame in self._cutter.feed(data):
                events.append(_event(frame))  # noqa: PERF401 - events before a fault are kept
        except FrameError as exc:
            raise DecodingError(str(exc), b"".join(events)) from exc
        except (msgspec.MsgspecError, binascii.Error) as exc:
            raise DecodingError("a frame holds no event", b"".join(events)) from exc
        return b"".join(events)


def _event(frame: Frame) -> bytes:
    kind = frame.headers.get(":message-type")
    if kind == "event":
        if frame.headers.get(":event-type") != "chunk":
            return b""
        data = b64decode(_read_chunk(frame.payload).bytes)
        if _METRICS_BYTES in data:
            members = _read_members(data)
            members.pop(_METRICS, None)
            data = msgspec.json.encode(members)
        return make_event(on_one_line(data), name=_read_type(data).type.encode())
    fault = frame_fault(frame)
    return make_event(error_of_status(fault.status, fault.message), name=b"error")
