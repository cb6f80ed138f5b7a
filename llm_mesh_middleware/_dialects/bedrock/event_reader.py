"""Reads the frames of ConverseStream as deltas.

messageStart ──► Start
contentBlockStart ──► ToolStart; text and reasoning begin without it; the format of an image
contentBlockDelta ──► the deltas of that block; its index is a call's key; a piece of an image
contentBlockStop ──► ToolEnd, ReasoningEnd, Image
messageStop ──► its reason is kept
metadata, or the end of the bytes after a messageStop ──► usage, Finish, End
an exception, an error, or what is not a frame ──► Failed, and nothing after it
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..._core.conversation.answer import (
    CitationDelta,
    Delta,
    End,
    Failed,
    Finish,
    Lost,
    ReasoningDelta,
    ReasoningEnd,
    Start,
    TextDelta,
    ToolArguments,
    ToolEnd,
    ToolStart,
)
from ..._core.conversation.fault import ProviderFault
from ..._core.conversation.parts import Proof
from ..._core.conversation.writing import Stamp
from ..._core.http.eventstream import Frame, FrameCutter, FrameError
from ...exceptions import UpstreamProtocolError
from ..aws_exceptions import frame_fault
from ..translation.proofs import BEDROCK, own_proof
from .answers import (
    LOST_IMAGE,
    SERVER_TOOL,
    CitationMember,
    ConverseUsage,
    ImageBlock,
    finish_of,
    made_image,
)
from .base64_pieces import joined_base64

__all__ = ["ConverseEventReader"]


class _ToolUseStart(msgspec.Struct, rename="camel", gc=False):
    tool_use_id: str = ""
    name: str = ""
    type: str | None = None


class _Start(msgspec.Struct, rename="camel", gc=False):
    tool_use: _ToolUseStart | None = None
    tool_result: object = None
    image: ImageBlock | None = None


class _ToolUseDelta(msgspec.Struct, gc=False):
    input: str = ""


class _ReasoningDelta(msgspec.Struct, rename="camel", gc=False):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class _Delta(msgspec.Struct, rename="camel", gc=False):
    text: str | None = None
    tool_use: _ToolUseDelta | None = None
    reasoning_content: _ReasoningDelta | None = None
    image: ImageBlock | None = None
    citation: CitationMember | None = None


class _Event(msgspec.Struct, rename="camel", gc=False):
    content_block_index: int = 0
    start: _Start | None = None
    delta: _Delta | None = None
    stop_reason: str = ""
    usage: ConverseUsage | None = None


_decode = msgspec.json.Decoder(_Event).decode


class ConverseEventReader:
    """Reads one stream."""

    __slots__ = ("_calls", "_cutter", "_images", "_is_over", "_reason", "_signatures", "_stamp")

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._cutter = FrameCutter()
        self._calls: set[int] = set()
        self._signatures: dict[int, str] = {}  # of blocks of reasoning that are open
        self._images: dict[int, tuple[str, list[str]]] = {}  # formats, and pieces of base64
        self._reason: str | None = None
        self._is_over = False

    def feed(self, data: bytes) -> Sequence[Delta]:
        """Return the deltas of the frames that `data` completes."""
        deltas: list[Delta] = []
        try:
            for frame in self._cutter.feed(data):
                if not self._is_over:
                    self._read(frame, deltas)
        except (FrameError, UpstreamProtocolError) as exc:
            self._fail(f"the stream cannot be read: {exc}", deltas)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._fail("the stream cannot be read: a frame holds no event", deltas)
        return deltas

    def finish(self) -> Sequence[Delta]:
        """Return the deltas that the end of the bytes completes."""
        deltas: list[Delta] = []
        self._end(deltas)
        return deltas

    def _read(self, frame: Frame, deltas: list[Delta]) -> None:
        if frame.headers.get(":message-type") != "event":
            self._is_over = True
            deltas.append(Failed(frame_fault(frame)))
            return
        event, kind = _decode(frame.payload), frame.headers.get(":event-type")
        index = event.content_block_index
        match kind:
            case "contentBlockDelta":
                if event.delta is not None:
                    self._read_delta(index, event.delta, deltas)
            case "contentBlockStart":
                if event.start is not None:
                    self._read_start(index, event.start, deltas)
            case "contentBlockStop":
                if index in self._signatures:
                    self._end_reasoning(index, deltas)
                elif index in self._calls:
                    deltas.append(ToolEnd(index))
                elif index in self._images:
                    self._end_image(index, deltas)
            case "messageStart":
                deltas.append(Start())
            case "messageStop":
                finish_of(event.stop_reason, has_calls=False)  # malformed output fails at once
                self._reason = event.stop_reason
            case "metadata":
                if event.usage is not None:
                    deltas.append(event.usage.counted())
                self._end(deltas)

    def _read_start(self, index: int, start: _Start, deltas: list[Delta]) -> None:
        if start.tool_use is not None and start.tool_use.type == SERVER_TOOL:
            deltas.append(Lost(f"response.{SERVER_TOOL}"))
        elif start.tool_use is not None:
            call = start.tool_use
            self._calls.add(index)
            id = call.tool_use_id or self._stamp.id("tooluse_", index)
            deltas.append(ToolStart(index, id, call.name))
        elif start.image is not None:
            self._images[index] = (start.image.format, [])
        elif start.tool_result is not None:
            deltas.append(Lost("response.block"))

    def _read_delta(self, index: int, delta: _Delta, deltas: list[Delta]) -> None:
        if delta.text:
            deltas.append(TextDelta(delta.text))
        elif delta.tool_use is not None:
            if delta.tool_use.input and index in self._calls:
                deltas.append(ToolArguments(index, delta.tool_use.input))
        elif delta.reasoning_content is not None:
            thought = delta.reasoning_content
            if thought.redacted_content is not None:
                proof = Proof(BEDROCK, thought.redacted_content)
                deltas.append(ReasoningEnd(proof, is_redacted=True))
                return
            if thought.text:
                deltas.append(ReasoningDelta(thought.text))
            known = self._signatures.get(index, "")
            self._signatures[index] = known + (thought.signature or "")
        elif delta.image is not None:
            source = delta.image.source
            _, pieces = self._images.setdefault(index, ("png", []))
            if source is not None and source.bytes:
                pieces.append(source.bytes)
        elif delta.citation is not None and (cited := delta.citation.citation) is not None:
            deltas.append(CitationDelta(cited))

    def _end_image(self, index: int, deltas: list[Delta]) -> None:
        format, pieces = self._images.pop(index)
        data = joined_base64(pieces)
        deltas.append(made_image(format, data) if data else Lost(LOST_IMAGE))

    def _end_reasoning(self, index: int, deltas: list[Delta]) -> None:
        deltas.append(ReasoningEnd(own_proof(BEDROCK, self._signatures.pop(index))))

    def _end(self, deltas: list[Delta]) -> None:
        """Add the end, if the stream had a stop reason."""
        if self._is_over or self._reason is None:
            return
        self._is_over = True
        for index in list(self._signatures):
            self._end_reasoning(index, deltas)
        for index in list(self._images):
            self._end_image(index, deltas)
        deltas.append(Finish(finish_of(self._reason, has_calls=bool(self._calls))))
        deltas.append(End())

    def _fail(self, message: str, deltas: list[Delta]) -> None:
        """Add a failure as the last delta, so that what precedes it in the bytes is delivered."""
        self._is_over = True
        deltas.append(Failed(ProviderFault(kind="server", status=502, message=message)))
