"""`manage.py llm_mesh_explain`: what it prints, and how it ends."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, MANIFESTS
from tests.django import project

__all__ = ["project"]  # configures Django


@pytest.fixture(autouse=True)
def manifests() -> Iterator[None]:
    with override_settings(LLM_MESH={"CONFIG": MANIFESTS}):
        yield


def explain(*arguments: str) -> str:
    out = io.StringIO()
    call_command("llm_mesh_explain", *arguments, stdout=out)
    return out.getvalue()


def test_it_tells_which_rule_takes_a_request() -> None:
    told = explain("--host", DASHSCOPE, "-H", "user-type: subscriber")
    assert "selected  vip-route" in told
    assert DASHSCOPE_KEY not in told


def test_it_tells_it_to_machines_too() -> None:
    told = explain("--host", DASHSCOPE, "-d", '{"stream": true}', "--json")
    assert json.loads(told)["host"] == DASHSCOPE


def test_it_ends_with_1_for_a_request_that_would_be_refused() -> None:
    with pytest.raises(SystemExit) as ended:
        explain("--host", "unknown.example")
    assert ended.value.code == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-H", "no colon"], "a header is written 'name: value'"),
        (["--attribute", "plan"], "an attribute is written 'name=value'"),
        (["-d", "@no-such-file"], "cannot read the body no-such-file: No such file"),
    ],
)
def test_what_it_cannot_read_is_a_wrong_command_line(arguments: list[str], told: str) -> None:
    with pytest.raises(CommandError, match=told) as ended:
        explain("--host", DASHSCOPE, *arguments)
    assert ended.value.returncode == 2
