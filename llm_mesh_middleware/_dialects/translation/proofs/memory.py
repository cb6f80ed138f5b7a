"""Stores proofs that clients may not send back: frameworks keep only role, content and calls.

    answer    thoughts with proofs, call ──► stored by the id of the call
    request   call without proofs        ──► gets the ones that are stored for its id

The memory is bounded, and local to a process. A proof that is not found is omitted. Client keys
have separate entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager

import msgspec
from msgspec.structs import replace

from ...._core.conversation.answer import Delta, ReasoningDelta, ReasoningEnd, ToolStart
from ...._core.conversation.parts import Part, Proof, Reasoning, ToolCall
from ...._core.conversation.request import Turn
from ...._core.conversation.sides import EventReader

__all__ = ["ProofMemory", "RememberingReader"]

_MAX_CALLS = 1024
_MAX_CHARACTERS = 4 * 2**20


class _Kept(msgspec.Struct, frozen=True):
    """The proofs of one call: the thoughts before it, and its own proof."""

    thoughts: tuple[Reasoning, ...]
    proof: Proof | None

    @property
    def size(self) -> int:
        proofs = [self.proof, *[thought.proof for thought in self.thoughts]]
        texts = sum(len(thought.text) for thought in self.thoughts)
        return texts + sum(len(proof.value) for proof in proofs if proof is not None)


class ProofMemory:
    """The proofs of one provider's calls; the oldest are dropped."""

    __slots__ = ("_calls", "_lock", "_size")

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        self._lock = lock
        self._calls: dict[tuple[str, str], _Kept] = {}
        self._size = 0

    def keep(self, consumer: str, parts: Iterable[Part]) -> None:
        """Store the proofs of the calls among the parts of an answer."""
        thoughts: list[Reasoning] = []
        for part in parts:
            if isinstance(part, Reasoning) and part.proof is not None:
                thoughts.append(part)
            elif isinstance(part, ToolCall):
                self.put(consumer, part.id, tuple(thoughts), part.proof)
                thoughts.clear()

    def put(
        self, consumer: str, call_id: str, thoughts: tuple[Reasoning, ...], proof: Proof | None
    ) -> None:
        """Store the proofs of one call, if there are any."""
        kept = _Kept(thoughts, proof)
        if not (thoughts or proof) or kept.size > _MAX_CHARACTERS:
            return
        with self._lock:
            self._forget((consumer, call_id))
            self._calls[consumer, call_id] = kept
            self._size += kept.size
            while len(self._calls) > _MAX_CALLS or self._size > _MAX_CHARACTERS:
                self._forget(next(iter(self._calls)))

    def restore(self, consumer: str, turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
        """Return the turns with the stored proofs of calls that have come back without them."""
        if not self._calls:
            return turns
        return tuple(
            turn if turn.role != "assistant" else self._restored(consumer, turn) for turn in turns
        )

    def _restored(self, consumer: str, turn: Turn) -> Turn:
        if any(isinstance(part, Reasoning) and part.proof is not None for part in turn.parts):
            return turn
        thoughts: list[Part] = []
        parts: list[Part] = []
        for part in turn.parts:
            if isinstance(part, ToolCall):
                kept = self._calls.get((consumer, part.id))
                if kept is not None:
                    thoughts += kept.thoughts
                    part = replace(part, proof=part.proof or kept.proof)
            parts.append(part)
        if thoughts:  # the same as those without a proof
            parts = [*thoughts, *[part for part in parts if not isinstance(part, Reasoning)]]
        return Turn(turn.role, tuple(parts))

    def _forget(self, key: tuple[str, str]) -> None:
        kept = self._calls.pop(key, None)
        if kept is not None:
            self._size -= kept.size


class RememberingReader:
    """Reads a stream through another reader, and stores its proofs."""

    __slots__ = ("_consumer", "_memory", "_reader", "_texts", "_thoughts")

    def __init__(self, reader: EventReader, memory: ProofMemory, consumer: str) -> None:
        self._reader = reader
        self._memory = memory
        self._consumer = consumer
        self._texts: list[str] = []
        self._thoughts: list[Reasoning] = []

    def feed(self, data: bytes) -> Sequence[Delta]:
        """Return the deltas that `data` completes."""
        return self._remembered(self._reader.feed(data))

    def finish(self) -> Sequence[Delta]:
        """Return the deltas that the end of the bytes completes."""
        return self._remembered(self._reader.finish())

    def _remembered(self, deltas: Sequence[Delta]) -> Sequence[Delta]:
        for delta in deltas:
            if isinstance(delta, ReasoningDelta):
                self._texts.append(delta.text)
            elif isinstance(delta, ReasoningEnd):
                text = "" if delta.is_redacted else "".join(self._texts)
                self._texts.clear()
                if delta.proof is not None:
                    self._thoughts.append(Reasoning(text, delta.proof, delta.is_redacted))
            elif isinstance(delta, ToolStart):
                self._memory.put(self._consumer, delta.id, tuple(self._thoughts), delta.proof)
                self._thoughts.clear()
        return deltas
