"""The application's own functions, as ports."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llm_mesh_middleware._engine.ports.callback import Facts


def asked(answer: object) -> list[Any]:
    """What both drivers are told where the application answers `answer`."""

    async def function(request: object) -> object:
        return answer

    plain = Facts(lambda request: answer, "attributes").ask(None, None)
    return [plain, asyncio.run(Facts(function, "attributes").aask(None, None))]


def test_facts_are_text_by_name() -> None:
    assert asked({"plan": "pro"}) == [{"plan": "pro"}] * 2


def test_none_is_no_fact() -> None:
    assert asked({"plan": "pro", "team": None}) == [{"plan": "pro"}] * 2
    assert asked(None) == [{}] * 2


@pytest.mark.parametrize("value", [7, True, b"7", ["7"]])
def test_a_fact_that_no_text_can_match_is_an_error(value: object) -> None:
    kind = type(value).__name__
    with pytest.raises(TypeError, match=f"attributes returned {kind} for 'user', not str"):
        asked({"user": value})


def test_a_name_that_no_rule_can_have_is_an_error() -> None:
    with pytest.raises(TypeError, match="attributes returned the name 7, not str"):
        asked({7: "pro"})


def test_facts_without_names_are_an_error() -> None:
    with pytest.raises(TypeError, match="attributes returned str: return a mapping of names"):
        asked("pro")
