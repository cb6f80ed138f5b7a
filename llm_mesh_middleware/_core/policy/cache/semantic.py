"""Entries of similar requests: the same meaning in other words.

    last message ──> vector ──> entries of its partition, by cosine
                     │ none in time          │ none            > a miss, as without vectors
                     └─> unchecked           └─> the nearest   > hit, or in shadow a miss that
                                                                 reports the hit

Requests of a partition are equal except for the last message, whose numbers, names, negations and
quotations are equal too (`gate`).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import msgspec

from ...caching.entry import Entry
from ...caching.semantic.similarity import Near, Nearest, Remember, Vector
from ...caching.store import CacheStore
from ...flow.call import Call
from ...side_calls.embedding import Embedded, Embedder
from ...side_calls.side_call import SideCallFailed
from ...values.decision import Decision
from ...values.steps import Ask, Nested, Step
from .cache_request import CacheRequest

__all__ = ["Search", "Semantic"]


class Semantic(msgspec.Struct, frozen=True):
    """A policy's settings for similar requests.

    Attributes:
        embedder: makes the vectors.
        threshold: the lowest cosine of a hit.
        is_shadow: whether to only report hits, and call the provider.
        timeout_s: how long to wait for a vector.
    """

    embedder: Embedder
    threshold: float
    is_shadow: bool
    timeout_s: float


class Search:
    """The search for one request.

    `similarity` is that of the entry that was found, None without one.
    """

    def __init__(
        self, policy: str, semantic: Semantic, asked: CacheRequest, call: Call, store: CacheStore
    ) -> None:
        self._policy = policy
        self._semantic = semantic
        self._asked = asked
        self._call = call
        self._store = store
        self._partition = ""
        self._vector: Vector | None = None
        self._expected: Entry | None = None
        self._tokens = 0
        self.similarity: float | None = None

    def nearest(self) -> Generator[Step, Any, Sequence[Near]]:
        """Return the entries above the threshold, the nearest first."""
        semantic = self._semantic
        question = self._asked.question(semantic.embedder.identity)
        if question is None:
            return ()
        made = yield Nested(self._embedded(question.text))
        if isinstance(made, SideCallFailed):
            self._report("unchecked", made.cause)
            return ()
        self._partition, self._vector = question.partition, made.vectors[0]
        self._tokens = made.tokens
        found = yield Ask(self._store, Nearest(self._partition, self._vector, semantic.threshold))
        return found or ()

    def is_answered(self, near: Near | None, entry: Entry | None) -> bool:
        """Report the nearest existing entry, or its lack; return whether it may be used."""
        if near is None:
            if self._vector is not None:
                self._report("miss")
            return False
        self.similarity = near.similarity
        is_shadow = self._semantic.is_shadow
        self._report("shadow_hit" if is_shadow else "hit", f"{near.similarity:.3f}")
        if is_shadow:
            self._expected = entry
        return not is_shadow

    def learn(self, key: str, entry: Entry, ttl_s: float) -> Generator[Step, Any, None]:
        """Remember the request's vector, and compare its response with that of a shadow hit."""
        if self._vector is None:
            return
        if self._expected is not None:
            is_same = self._said(entry) == self._said(self._expected)
            self._report("shadow_same" if is_same else "shadow_differs")
        yield Ask(self._store, Remember(self._partition, self._vector, key, ttl_s))

    def _embedded(self, text: str) -> Generator[Step, Any, Embedded | SideCallFailed]:
        call = self._call
        context = call.side_context(self._semantic.timeout_s)
        sent = text.encode("utf-8", "replace").decode()
        try:
            return (yield from self._semantic.embedder.embed([sent], context))
        except SideCallFailed as none:
            return none

    def _said(self, entry: Entry) -> list[str] | None:
        """Return the texts of a whole response."""
        texts = self._asked.operation.dialect.texts
        try:
            return [place.text for place in texts.read_response(msgspec.json.decode(entry.body))]
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            return None

    def _report(self, decision: str, detail: str = "") -> None:
        tokens, self._tokens = self._tokens, 0
        found_decision = Decision(self._policy, "semantic", "semantic", decision, detail, of=tokens)
        self._call.account.decided(found_decision)
