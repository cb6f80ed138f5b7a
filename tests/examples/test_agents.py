"""The examples of agents and of SDKs; where an agent is not installed, curl sends its request."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import Providers
from tests.examples.running import Example
from tests.processes import free_port

HI = {"role": "user", "content": [{"type": "text", "text": "Hello"}]}
CLAUDE = {"model": "claude-sonnet-4-6", "max_tokens": 32_000, "messages": [HI]}
INPUT = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
CODEX = {"model": "gpt-5.1-codex", "input": [INPUT], "store": False, "stream": True}
STAND_INS = {
    "claude_code": (
        "claude",
        'curl --silent "$ANTHROPIC_BASE_URL/v1/messages?beta=true"'
        f" --header 'x-api-key: unused' --data '{json.dumps(CLAUDE)}'",
    ),
    "codex": (
        "codex",
        'url=$(printf "%s\\n" "$@" | sed -n "s/.*base_url=//p")\n'
        f"curl --silent \"$url/responses\" --data '{json.dumps(CODEX)}'",
    ),
}
SAID = {"claude_code": '"type":"message"', "codex": "response.completed"}


@pytest.mark.slow
@pytest.mark.parametrize("name", STAND_INS)
def test_an_agent_is_served_by_a_model_of_another_dialect(
    leading: Mapping[str, str], providers: Providers, tmp_path: Path, name: str
) -> None:
    program, script = STAND_INS[name]
    stand_in = tmp_path / program
    stand_in.write_text(f"#!/bin/sh\n{script}\necho\n")
    stand_in.chmod(0o755)
    path = os.pathsep.join((str(tmp_path), os.environ["PATH"]))
    with Example(name, {**leading, "PATH": path}).begin(port=free_port()) as running:
        running.wait(20)

    assert any(SAID[name] in line and "You said: Hello" in line for line in running.lines)
    (seen,) = providers.dashscope.requests
    assert (seen.path, seen.json()["model"]) == (
        "/compatible-mode/v1/chat/completions",
        "qwen3-coder-plus",
    )
    assert seen.header("authorization") == "Bearer ..."


@pytest.mark.slow
def test_every_sdk_is_answered_by_one_model(
    leading: Mapping[str, str], providers: Providers
) -> None:
    with Example("any_sdk_any_model", leading).begin() as program:
        program.wait(30)

    dialects = ("chat", "responses", "messages", "gemini")
    assert program.lines == [f"{name}: You said: Hello\n" for name in dialects]
    assert len(providers.dashscope.requests) == 4
