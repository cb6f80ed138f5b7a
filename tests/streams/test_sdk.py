"""The OpenAI SDK notices no difference between a provider and the mesh before it."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai import DefaultHttpxClient, OpenAI

from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    FakeUpstream,
    Gate,
    Scripted,
    Stream,
    chat_stream,
    error_body,
)
from tests.streams.conftest import Site
from tests.streams.sdk import ASKED, LIMITED, NO_TLS, USES, adone, bodies, done, numberless, options


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("name", USES)
def test_a_use_of_the_sdk_brings_the_same_through_the_mesh(
    site: Site, upstream: FakeUpstream, name: str, kind: str
) -> None:
    answer, sync, twin = USES[name]
    found, asked = [], []
    for port in (upstream.port, site.port()):
        upstream.clear()
        upstream.always(answer)
        found.append(done(sync, port) if kind == "sync" else adone(twin, port))
        asked.append(bodies(upstream))
    assert numberless(found[1]) == numberless(found[0])
    assert asked[1] == asked[0]


# What goes wrong must go wrong in the same way.

REFUSED = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    503: openai.InternalServerError,
    504: openai.InternalServerError,
}


def failure(port: int, stream: bool) -> openai.APIError:
    """What the SDK raises."""
    with OpenAI(**options(port), http_client=DefaultHttpxClient(verify=NO_TLS)) as client:
        try:
            answer = client.chat.completions.create(**ASKED, stream=stream)
            for chunk in answer if stream else ():
                assert chunk.choices is not None
        except openai.APIError as error:
            return error
    pytest.fail("the SDK raises nothing")


def shown(error: openai.APIError) -> dict[str, Any]:
    found = {name: getattr(error, name) for name in ("message", "code", "type", "param", "body")}
    if isinstance(error, openai.APIStatusError):
        names = [name for name, _ in LIMITED] + ["content-type"]
        found["status"] = error.status_code
        found["headers"] = {name: error.response.headers.get(name) for name in names}
        found["request_id"] = error.request_id
    return found


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", REFUSED)
def test_a_refusal_is_the_same_exception_through_the_mesh(
    site: Site, upstream: FakeUpstream, status: int, stream: bool
) -> None:
    body = error_body("Not like this.", code="some_code", param="model")
    upstream.always(Answer(status, LIMITED, body))
    errors = [failure(port, stream) for port in (upstream.port, site.port())]
    assert [type(error) for error in errors] == [REFUSED[status]] * 2
    assert shown(errors[1]) == shown(errors[0])


def test_an_error_event_is_the_same_exception_through_the_mesh(
    site: Site, upstream: FakeUpstream
) -> None:
    told = json.dumps(error_body("Overloaded.", type="server_error", code="busy")).encode()
    upstream.always(Stream([*chat_stream(["a"])[:2], b"data: " + told + b"\n\n"]))
    errors = [failure(port, stream=True) for port in (upstream.port, site.port())]
    assert [type(error) for error in errors] == [openai.APIError] * 2
    assert shown(errors[1]) == shown(errors[0])


@pytest.mark.parametrize("end", ["done", "reset", "fin", "bad_chunk", "stall"])
def test_a_stream_that_is_cut_short_is_an_exception(
    site: Site, upstream: FakeUpstream, end: Any
) -> None:
    upstream.always(Stream([*chat_stream(["a"])[:2], 0.02], end=end))
    error = failure(site.port(idle_timeout=0.1), stream=True)
    assert type(error) is openai.APIError
    assert error.code == "stream_interrupted"


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("answer", [Cut(how="stall"), Stream([Gate()])])
def test_a_provider_that_says_nothing_is_what_its_status_says(
    site: Site, upstream: FakeUpstream, answer: Scripted, stream: bool
) -> None:
    upstream.always(answer)
    # A whole response may take as long as the request; a stream must begin.
    limit = {"first_byte_timeout" if stream else "request_timeout": 0.1}
    error = failure(site.port(**limit), stream)
    assert isinstance(error, openai.InternalServerError)
    assert (error.status_code, error.code) == (504, "upstream_timeout")


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_is_not_there_is_what_its_status_says(
    site: Site, upstream: FakeUpstream, stream: bool
) -> None:
    upstream.always(Cut())
    error = failure(site.port(), stream)
    assert isinstance(error, openai.InternalServerError)
    assert (error.status_code, error.code) == (502, "upstream_connect_error")
