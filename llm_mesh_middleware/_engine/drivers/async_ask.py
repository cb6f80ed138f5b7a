"""The answer of a port, without a coroutine where it is there at once."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from ..._core.values.steps import Ask, Refused, StepResult
from ...exceptions import AnswerableError

__all__ = ["ask"]


def ask(step: Ask) -> StepResult:
    """Return what a port answers, or a coroutine of it: few bodies of requests take one."""
    try:
        answer: Any = step.port.aask(step.request, step.until)  # type: ignore[union-attr]
    except AnswerableError as error:
        return Refused(error)
    return answer if answer.__class__ is bytes else _answered(answer)


async def _answered(answer: Awaitable[Any]) -> StepResult:
    try:
        return await answer
    except AnswerableError as error:
        return Refused(error)
