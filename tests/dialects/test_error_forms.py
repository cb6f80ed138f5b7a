"""The mesh's own errors have the form of the client's dialect."""

from __future__ import annotations

import json

from llm_mesh_middleware._dialects import anthropic, openai_chat, openai_responses
from llm_mesh_middleware._dialects.registry import OPERATIONS, OperationFinder
from llm_mesh_middleware.exceptions import (
    AccessDenied,
    AnswerableError,
    InvalidClientKey,
    InvalidJSON,
    MethodNotAllowed,
    NoBackendAvailable,
    NoRouteMatched,
    RequestTooLarge,
    StreamInterrupted,
    UpstreamProtocolError,
    UpstreamTimeout,
)
from tests.rows import rows

OPENAI = [openai_chat.DIALECT, openai_responses.DIALECT]
ERRORS: list[tuple[AnswerableError, str]] = [
    (InvalidJSON("no JSON", param="model"), "invalid_request_error"),
    (InvalidClientKey("no key"), "authentication_error"),
    (AccessDenied("not you"), "permission_error"),
    (NoRouteMatched("no route"), "not_found_error"),
    (MethodNotAllowed("no such method", allow="POST"), "invalid_request_error"),
    (RequestTooLarge("too long"), "request_too_large"),
    (UpstreamProtocolError("broken"), "api_error"),
    (NoBackendAvailable("none left"), "overloaded_error"),
    (UpstreamTimeout("late", phase="idle"), "timeout_error"),
    (StreamInterrupted('a "quoted"\r\nline'), "api_error"),
]


@rows("dialect", OPENAI)
@rows("error", [error for error, _ in ERRORS])
def test_an_openai_error_has_four_members(
    dialect: openai_chat.OpenAIChat, error: AnswerableError
) -> None:
    assert json.loads(dialect.write_error(error)) == {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.code,
        }
    }


@rows(("error", "type"), ERRORS)
def test_an_anthropic_error_has_one_of_its_types(error: AnswerableError, type: str) -> None:
    assert json.loads(anthropic.DIALECT.write_error(error)) == {
        "type": "error",
        "error": {"type": type, "message": error.message},
        "request_id": None,
    }


@rows("error", [error for error, _ in ERRORS])
def test_an_error_event_is_one_line_of_data_in_the_form_of_the_dialect(
    error: AnswerableError,
) -> None:
    chat = openai_chat.DIALECT.error_event(error)
    assert chat == b"data: %b\n\n" % openai_chat.DIALECT.write_error(error)
    messages = anthropic.DIALECT.error_event(error)
    assert messages == b"event: error\ndata: %b\n\n" % anthropic.DIALECT.write_error(error)
    response = openai_responses.DIALECT.error_event(error, position=7)
    name, data, *rest = response.split(b"\n")
    assert (name, rest) == (b"event: error", [b"", b""])
    assert json.loads(data.removeprefix(b"data: ")) == {
        "type": "error",
        "code": error.code,
        "message": error.message,
        "param": error.param,
        "sequence_number": 7,
    }


@rows(
    ("path", "name"),
    [
        ("/v1/chat/completions", "openai.chat"),
        ("/", "openai.chat"),
        ("/own", "openai.chat"),
        ("/v1/completions", "openai.chat"),
        ("/v1/models", "openai.chat"),
        ("/v1/responses", "openai.responses"),
        ("/v1/messages", "anthropic.messages"),
        ("/apps/anthropic/v1/messages", "anthropic.messages"),
        ("/v1/threads/t/messages", None),
        ("/v1/files", None),
    ],
)
def test_the_path_says_which_dialect_a_client_speaks(path: str, name: str | None) -> None:
    operation = OperationFinder({"/own": openai_chat.CHAT}).find(path)
    assert (operation and operation.dialect.name) == name


def test_few_of_the_paths_that_clients_choose_are_remembered() -> None:
    finder = OperationFinder()
    for number in range(300):
        for path in (f"/{number}/v1/chat/completions", f"/{'a' * number}/v1/messages", "/x"):
            first, second = finder.find(path), finder.find(path)
            assert first is second
    assert len(finder._found) <= 256
    assert max(map(len, finder._found)) <= 128


def test_no_two_dialects_serve_one_path() -> None:
    ends = [operation.client_suffix or operation.suffix for operation in OPERATIONS]
    assert len(ends) == len(set(ends))
