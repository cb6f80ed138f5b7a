"""`passFields`: what a provider takes although its dialect lacks it; the rest is logged."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pydantic import ValidationError

from llm_mesh_middleware.testing import Answer, chat_completion
from tests.canaries import canary
from tests.clouds.bench import HOST, Bench, bench, provider
from tests.translation.messages_shapes import message, text

KEY = canary("passing")
HI: Any = [{"role": "user", "content": "Hi"}]
OF_MESSAGES = {"model": "m", "max_tokens": 9, "messages": HI, "top_k": 40, "min_p": 0.05}


def chat(**more: Any) -> dict[str, Any]:
    return {"openAIConfig": {"apiKey": KEY, "apis": ["chat"], **more}}


def asked(made: Bench, path: str, body: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    got = made.client.post(f"http://{HOST}{path}", json=body)
    assert got.status_code == 200, got.text
    return made.asked.json(), got.headers.get("x-llm-mesh-dropped")


def test_listed_fields_are_sent_as_they_are() -> None:
    with bench(chat(passFields=["top_k", "min_p", "absent"])) as made:
        made.answer(Answer(body=chat_completion("Hi")))
        sent, dropped = asked(made, "/v1/messages", OF_MESSAGES)
        assert (sent["top_k"], sent["min_p"], dropped) == (40, 0.05, None)
        assert "absent" not in sent


def test_other_fields_are_dropped_as_before() -> None:
    with bench(chat(passFields=["min_p"])) as made:
        made.answer(Answer(body=chat_completion("Hi")))
        sent, dropped = asked(made, "/v1/messages", OF_MESSAGES)
        assert (sent.get("top_k"), sent["min_p"], dropped) == (None, 0.05, "top_k")


def test_what_is_translated_is_not_overridden() -> None:
    config = {"anthropicConfig": {"apiKey": KEY, "passFields": ["temperature", "stop"]}}
    with bench(config) as made:
        made.answer(Answer(body=message(text("Hi"))))
        body = {"model": "m", "messages": HI, "temperature": 2, "stop": "."}
        sent, _ = asked(made, "/v1/chat/completions", body)
        assert (sent["temperature"], sent["stop_sequences"]) == (1, ["."])


def test_listed_fields_are_no_reason_to_refuse() -> None:
    with bench(chat(passFields=["top_k", "min_p"], unsupportedFields="reject")) as made:
        made.answer(Answer(body=chat_completion("Hi")))
        sent, _ = asked(made, "/v1/messages", OF_MESSAGES)
        assert sent["top_k"] == 40


@pytest.mark.parametrize("name", ["messages", "input", "contents", "prompt"])
def test_what_is_the_clients_to_say_cannot_be_listed(name: str) -> None:
    with pytest.raises(ValidationError, match="belongs to the client's request"):
        provider(chat(passFields=[name]), "http://127.0.0.1:1")


def test_what_is_dropped_is_logged_for_those_who_debug(caplog: pytest.LogCaptureFixture) -> None:
    with bench(chat()) as made, caplog.at_level(logging.DEBUG, logger="llm_mesh_middleware"):
        made.answer(Answer(body=chat_completion("Hi")))
        asked(made, "/v1/messages", OF_MESSAGES)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG]
    assert [line for line in said if HOST in line and line.endswith(": top_k, min_p")]
