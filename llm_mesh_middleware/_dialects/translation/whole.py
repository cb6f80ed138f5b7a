"""Converts between the two forms of an answer: deltas, and a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..._core.conversation.answer import (
    Answer,
    CitationDelta,
    Delta,
    End,
    Finish,
    ImageDraft,
    LogprobsDelta,
    Lost,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    Start,
    TextDelta,
    TokenLogprob,
    ToolArguments,
    ToolStart,
    Usage,
)
from ..._core.conversation.parts import (
    Citation,
    Image,
    Part,
    Proof,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)

__all__ = ["LOST_DRAFT", "Accumulator", "deltas_of"]

# The name of an image that is not complete: a whole answer has the complete one alone.
LOST_DRAFT = "response.draft"


class Accumulator:
    """Collects deltas to an answer."""

    def __init__(self) -> None:
        self._start = Start()
        self._parts: list[_Open] = []
        self._calls: dict[int, _Open] = {}
        self._finish: Finish | None = None
        self._usage: Usage | None = None
        self._logprobs: list[TokenLogprob] = []
        self._lost: dict[str, None] = {}

    def add(self, deltas: Iterable[Delta]) -> None:
        """Take deltas, in their order."""
        for delta in deltas:
            match delta:
                case TextDelta(text):
                    self._last("text").pieces.append(text)
                case ToolArguments(key, text):
                    if key in self._calls:
                        self._calls[key].pieces.append(text)
                case ReasoningDelta(text):
                    self._last("reasoning").pieces.append(text)
                case ReasoningEnd(proof, is_redacted):
                    self._end_reasoning(proof, is_redacted=is_redacted)
                case RefusalDelta(text):
                    self._last("refusal").pieces.append(text)
                case ToolStart(key):
                    self._calls[key] = call = _Open("call", delta)
                    self._parts.append(call)
                case CitationDelta(citation):
                    self._cite(citation)
                case Start():
                    self._start = delta
                    self._usage = delta.usage or self._usage
                case Finish():
                    self._finish = delta
                case LogprobsDelta(tokens):
                    self._logprobs += tokens
                case Image():
                    self._parts.append(_Open("image", whole=delta))
                case Lost(name):
                    self._lost[name] = None
                case ImageDraft():
                    self._lost[LOST_DRAFT] = None
                case Usage():
                    self._usage = delta.after(self._usage)
                case _:
                    pass

    @property
    def answer(self) -> Answer:
        """The answer so far."""
        finish, tier = self._finish, self._start.service_tier
        return Answer(
            id=self._start.id,
            model=self._start.model,
            parts=tuple(part.made() for part in self._parts),
            finish=None if finish is None else finish.reason,
            stop_sequence=None if finish is None else finish.stop_sequence,
            usage=self._usage,
            service_tier=tier if finish is None else finish.service_tier or tier,
            logprobs=tuple(self._logprobs),
            lost=tuple(self._lost),
        )

    def _cite(self, citation: Citation) -> None:
        """Add a source to the last text, which calls may have followed."""
        for part in reversed(self._parts):
            if part.kind == "text":
                part.citations.append(citation)
                return

    def _last(self, kind: str) -> _Open:
        """Return the part that the next delta of this kind continues."""
        if not self._parts or self._parts[-1].kind != kind or self._parts[-1].is_closed:
            self._parts.append(_Open(kind))
        return self._parts[-1]

    def _end_reasoning(self, proof: Proof | None, *, is_redacted: bool) -> None:
        if is_redacted:
            self._parts.append(_Open("reasoning"))
        part = self._last("reasoning")
        part.proof, part.is_redacted, part.is_closed = proof, is_redacted, True


class _Open:
    """A part that may grow, unless it comes as a `whole`."""

    __slots__ = (
        *("citations", "is_closed", "is_redacted", "kind", "pieces", "proof", "start", "whole"),
    )

    def __init__(
        self, kind: str, start: ToolStart | None = None, *, whole: Part | None = None
    ) -> None:
        self.kind = kind
        self.start = start
        self.whole = whole
        self.pieces: list[str] = []
        self.citations: list[Citation] = []
        self.proof: Proof | None = None
        self.is_redacted = False
        self.is_closed = False

    def made(self) -> Part:
        if self.whole is not None:
            return self.whole
        text, start = "".join(self.pieces), self.start
        if start is not None:
            return ToolCall(start.id, start.name, text, start.is_custom, start.proof)
        if self.kind == "reasoning":
            return Reasoning(text, self.proof, self.is_redacted)
        if self.kind == "refusal":
            return Refusal(text)
        return Text(text, citations=tuple(self.citations))


def deltas_of(answer: Answer) -> Iterator[Delta]:
    """Yield the deltas of an answer; without a finish reason the last ones are missing."""
    yield Start(answer.id, answer.model, answer.usage, answer.service_tier)
    if answer.logprobs:
        yield LogprobsDelta(answer.logprobs)
    for key, part in enumerate(answer.parts):
        match part:
            case Text():
                yield TextDelta(part.text)
                yield from map(CitationDelta, part.citations)
            case Refusal(text):
                yield RefusalDelta(text)
            case Reasoning():
                if part.text:
                    yield ReasoningDelta(part.text)
                yield ReasoningEnd(part.proof, part.is_redacted)
            case ToolCall():
                yield ToolStart(key, part.id, part.name, part.is_custom, part.proof)
                yield ToolArguments(key, part.arguments)
            case Image():
                yield part
            case _:
                pass
    yield from map(Lost, answer.lost)
    if answer.usage is not None:
        yield answer.usage
    if answer.finish is not None:
        yield Finish(answer.finish, answer.stop_sequence, answer.service_tier)
        yield End()
