"""A moderation endpoint: categories of harm with scores for each text."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from ....exceptions import UpstreamError
from ...provider.credential import Credential
from ...provider.upstream import Upstream
from ...side_calls.side_call import SideCallContext, SideCallFailed, call_whole, cause_of, make_call
from ...values.steps import Step
from .verdict import ALLOWED, InvalidVerdict, Question, Verdict

__all__ = ["Moderation", "ModerationForm"]

# Texts in one request; more are sent in several requests.
_MAX_TEXTS = 32
_MAX_NAME = 40


class ModerationForm(Protocol):
    """Writes requests to a moderation endpoint, and reads the responses."""

    def write(self, model: str | None, texts: Sequence[str]) -> bytes:
        """Return the body of the request."""

    def read(self, body: bytes) -> Sequence[Mapping[str, tuple[bool, float]]] | None:
        """Return for each text its categories: whether each is flagged, and its score."""


class Moderation(msgspec.Struct, frozen=True):
    """The provider, and the scores from which its categories are denied.

    Without `thresholds` the provider's flags decide; with them, only the named categories count.
    """

    upstream: Upstream
    target: str
    form: ModerationForm
    model: str | None
    credential: Credential | None
    thresholds: Mapping[str, float] = {}

    kind = "moderation"

    def ask(self, question: Question, context: SideCallContext) -> Generator[Step, Any, Verdict]:
        """Return the verdict: the first category that is denied.

        Raises:
            SideCallFailed: there is none in time.
        """
        for begin in range(0, len(question.texts), _MAX_TEXTS):
            texts = question.texts[begin : begin + _MAX_TEXTS]
            for categories in (yield from self._results(texts, context)):
                denied = next((name for name in categories if self._denies(name, categories)), None)
                if denied is not None:
                    return Verdict(denied_as=_entity(denied))
        return ALLOWED

    def _denies(self, name: str, categories: Mapping[str, tuple[bool, float]]) -> bool:
        is_flagged, score = categories[name]
        if not self.thresholds:
            return is_flagged
        return name in self.thresholds and score >= self.thresholds[name]

    def _results(
        self, texts: Sequence[str], context: SideCallContext
    ) -> Generator[Step, Any, Sequence[Mapping[str, tuple[bool, float]]]]:
        upstream, body = self.upstream, self.form.write(self.model, texts)
        request = make_call(
            upstream.endpoints.now()[0], self.target, upstream.headers, body, context
        )
        if self.credential is not None:
            try:
                request = yield from self.credential.apply(
                    request, context.wall_clock, context.deadline
                )
            except UpstreamError as error:
                raise SideCallFailed(cause_of(error)) from None
        head, received = yield from call_whole(request, context)
        if head.status != 200:
            raise SideCallFailed(f"status_{head.status}")
        results = self.form.read(received)
        # With fewer results than texts it is unclear which texts were judged.
        if results is None or len(results) != len(texts):
            raise InvalidVerdict("malformed")
        return results


def _entity(category: str) -> str:
    """Return the entity name of a category: `SELF_HARM_INTENT`."""
    name = category[:_MAX_NAME].upper()
    return "".join(char if char.isascii() and char.isalnum() else "_" for char in name)
