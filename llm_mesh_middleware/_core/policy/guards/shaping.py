"""Guards of the form of answers, as the layer next to the attempts: they see the provider's words.

whole response ──> judged ──> passed as it is, or 403
stream         ──> held ────> judged at its end ──> passed byte for byte, or an error event
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

import msgspec

from ....exceptions import ContentBlocked
from ...flow.call import Call
from ...flow.reply import Flow
from ...guarding.shape import SchemaGuard, ShapedStream, judge
from ...texts import AnswerContent
from ...values.decision import ItemExplanation
from ...values.messages import ClientRequest
from ...values.steps import Step
from .explaining import explain_guards
from .policy import guarded_operation, unrecorded
from .replies import guarded, held
from .reporting import reporter, with_effects

__all__ = ["ShapeGuards"]


class ShapeGuards(msgspec.Struct, frozen=True):
    """The guards of a rule that know the form of its answers."""

    guards: tuple[SchemaGuard, ...]

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call; a response without the form becomes an error."""
        operation, guards = guarded_operation(call, self.guards)
        if operation is None:
            return (yield from proceed(call))
        call = unrecorded(call)
        report, dialect = reporter(call), operation.dialect

        def judged(contents: Iterator[AnswerContent]) -> None:
            answers = list(contents)
            if not answers and operation.is_generation:
                raise ContentBlocked("the response is not one whose form can be checked")
            for each in guards:
                judge(each, iter(answers), report)

        def whole(body: bytes) -> Generator[Step, Any, bytes]:
            judged(dialect.answers.contents(body))
            return body
            yield  # nothing is waited for

        reply = yield from held(call, proceed)
        if reply.status >= 400:
            call.account.release()
            return reply
        left = yield from guarded(
            reply,
            operation,
            call.account,
            whole=whole,
            stream=lambda: (ShapedStream(dialect, judged), None),
        )
        return with_effects(left, call)

    def explain(
        self, request: ClientRequest, provider: str, now: float
    ) -> Iterator[ItemExplanation]:
        """Yield what each guard has to do with a request."""
        return explain_guards(self.guards, "response", request)
