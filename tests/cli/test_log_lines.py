"""The short form of the log: what a person reads while `llm-mesh serve` runs."""

from __future__ import annotations

import logging
import re
import time
from typing import Any

import httpx
import pytest

from llm_mesh_middleware._telemetry.records.access_log import FIELDS, LineFormatter
from llm_mesh_middleware.cli.serving.short_line import ShortFormatter
from tests.cli.conftest import Sidecar
from tests.conftest import DASHSCOPE
from tests.rows import rows

CALL = {
    "request_model": "gpt-4.1",
    "request_prompt_tokens": 12,
    "request_completion_tokens": 48,
    "authority": "llm",
    "method": "POST",
    "path": "/v1/chat/completions",
    "status": 200,
    "duration_ms": 811.6,
    "provider": "openai",
    "attempts": 1,
    "error_type": None,
}


def record(level: int = logging.INFO, message: str = "", **call: Any) -> logging.LogRecord:
    made = logging.LogRecord("llm_mesh_middleware", level, "", 0, message, (), None)
    if call:
        setattr(made, FIELDS, call)
    return made


def without_time(line: str) -> str:
    return re.sub(r"^(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d ", "", line)


@rows(
    ("fields", "line"),
    [
        ({}, "POST llm/v1/chat/completions 200 812 ms openai gpt-4.1 12+48 tokens"),
        (
            {"status": 502, "attempts": 3, "error_type": "upstream_connect_error"},
            "POST llm/v1/chat/completions 502 812 ms openai gpt-4.1 12+48 tokens 3 attempts"
            " upstream_connect_error",
        ),
        (
            dict.fromkeys(("status", "duration_ms", "provider", "request_model", "authority"))
            | {"request_prompt_tokens": None, "request_completion_tokens": None},
            "POST /v1/chat/completions -",
        ),
        ({"request_prompt_tokens": None}, "0+48 tokens"),
        ({"status": 429, "error_type": "429"}, "429 812 ms openai gpt-4.1 12+48 tokens"),
    ],
)
def test_a_call_is_what_was_asked_and_how_it_ended(fields: dict[str, Any], line: str) -> None:
    told = without_time(ShortFormatter().format(record(**CALL | fields)))

    assert told.startswith("INFO    POST ")
    assert told.endswith(line)


def test_a_record_beside_the_calls_has_its_fields() -> None:
    told = ShortFormatter().format(record(mirror="canary", status=200, error=None))

    assert without_time(told) == "INFO    mirror=canary status=200"


@rows(
    ("level", "told"),
    [
        (logging.INFO, "INFO    word"),
        (logging.WARNING, "WARNING word"),
        (logging.ERROR, "ERROR   word"),
    ],
)
def test_every_line_has_a_time_and_a_level(level: int, told: str) -> None:
    line = ShortFormatter().format(record(level, "word"))

    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line)
    assert without_time(line) == told


def test_a_terminal_has_colours_and_no_date() -> None:
    formatter = ShortFormatter(is_terminal=True)

    assert re.match(
        r"\d\d:\d\d:\d\d \x1b\[33mWARNING\x1b\[0m word", formatter.format(record(30, "word"))
    )
    colours = [
        re.findall(r"\x1b\[(\d\d)m(\d\d\d)", formatter.format(record(**CALL | {"status": status})))
        for status in (200, 404, 502)
    ]
    assert colours == [[("32", "200")], [("33", "404")], [("31", "502")]]


@pytest.mark.parametrize(
    ("message", "line"),
    [("word", "level=info message=word"), ('a "b"\nc', 'level=info message="a \\"b\\"\\nc"')],
)
def test_logfmt_has_other_records_as_fields_in_one_line(message: str, line: str) -> None:
    assert LineFormatter().format(record(message=message)).endswith(line)


@pytest.mark.parametrize("own_sidecar", [["--log-format", "text"]], indirect=True)
def test_serve_tells_what_it_serves_and_each_call(own_sidecar: Sidecar) -> None:
    url = f"http://127.0.0.1:{own_sidecar.port}/v1/chat/completions"
    with httpx.Client(trust_env=False) as client:
        client.post(
            url, json={"messages": [{"role": "user", "content": "Hi"}]}, headers={"host": DASHSCOPE}
        )
    deadline = time.monotonic() + 20
    while "POST" not in own_sidecar.output and time.monotonic() < deadline:
        time.sleep(0.02)

    lines = [without_time(line) for line in own_sidecar.output.splitlines()]
    assert any(line.startswith("INFO    serving 3 virtual hosts: ") for line in lines)
    (call,) = [line for line in lines if "POST" in line]
    assert call.startswith(f"INFO    POST {DASHSCOPE}/v1/chat/completions 200 ")
    assert re.search(r" \d+ ms dashscope-qwen \S+ \d+\+\d+ tokens$", call)
    assert "\x1b" not in own_sidecar.output
