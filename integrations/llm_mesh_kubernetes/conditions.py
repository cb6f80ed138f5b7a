"""The conditions in the status of a document.

`Accepted`: it can be used. `ResolvedRefs`: the providers and keys that it refers to exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llm_mesh_middleware import Problem

__all__ = ["Verdict", "judge", "merge"]

_OWN = ("Accepted", "ResolvedRefs")
# The API's own limit for the message of a condition.
_LONGEST_MESSAGE = 32_768

_Condition = Mapping[str, Any]
_State = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The conditions of one version of a document."""

    generation: int
    faults: tuple[Problem, ...] = ()
    unresolved: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    is_readable: bool = True

    def conditions(self) -> list[_Condition]:
        """Return the conditions without their times, which depend on earlier conditions."""
        accepted = self._condition("Accepted", "False" if self.faults else "True", "Invalid")
        if not self.is_readable:
            resolved = self._condition("ResolvedRefs", "Unknown", "NotAccepted")
        else:
            state: _State = "False" if self.unresolved else "True"
            resolved = self._condition("ResolvedRefs", state, "RefNotResolved")
        return [accepted, resolved]

    def _condition(self, kind: str, state: _State, otherwise: str) -> _Condition:
        if kind == "Accepted":
            said = _lines(self.faults or self.warnings, is_warning=not self.faults)
        else:
            said = _lines(self.unresolved)
        return {
            "type": kind,
            "status": state,
            "reason": kind if state == "True" else otherwise,
            "message": said[:_LONGEST_MESSAGE],
            "observedGeneration": self.generation,
        }


def judge(
    generation: int, *, unreadable: Iterable[Problem], problems: Iterable[Problem]
) -> Verdict:
    """Return the verdict on one document.

    Args:
        generation: its version.
        unreadable: errors that prevent it from being compiled.
        problems: all of its problems.
    """
    unreadable, problems = tuple(unreadable), tuple(problems)
    if any(problem.severity == "error" for problem in unreadable):
        faults = tuple(problem for problem in unreadable if problem.severity == "error")
        return Verdict(generation, faults, is_readable=False)
    errors = [problem for problem in problems if problem.severity == "error"]
    return Verdict(
        generation,
        faults=tuple(problem for problem in errors if not _is_reference(problem)),
        unresolved=tuple(problem for problem in errors if _is_reference(problem)),
        warnings=tuple(problem for problem in problems if problem.severity == "warning"),
    )


def merge(present: Sequence[_Condition], wanted: Sequence[_Condition], *, now: str) -> list[Any]:
    """Return an object's conditions: others' unchanged, ours with the time of their last change."""
    before = {condition.get("type"): condition for condition in present}
    merged: list[Any] = [each for each in present if each.get("type") not in _OWN]
    for condition in wanted:
        last = before.get(condition["type"], {})
        is_same = last.get("status") == condition["status"]
        turned_at = last.get("lastTransitionTime") if is_same else None
        merged.append({**condition, "lastTransitionTime": turned_at or now})
    return merged


def _is_reference(problem: Problem) -> bool:
    """Return whether a problem is about a reference."""
    return problem.field.endswith(".providerHost") or ".apiKeyFrom." in problem.field


def _lines(problems: Iterable[Problem], *, is_warning: bool = False) -> str:
    """Return the lines of `llm-mesh validate` without the place, which is the object itself."""
    mark = "warning: " if is_warning else ""
    return "\n".join(f"{mark}{problem.text}" for problem in problems)
