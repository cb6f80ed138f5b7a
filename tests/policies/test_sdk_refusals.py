"""Refusals by limits and budgets as the vendors' SDKs take them, unmodified, on a real socket."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors, types

from llm_mesh_middleware import LLMMeshMiddleware, LLMPolicy, Mesh
from llm_mesh_middleware.testing import Answer, FakeUpstream, chat_completion, token_usage
from tests.conftest import running
from tests.resilience.meshes import HOST, PRIMARY, Ledger, key_of, provider, route

pytestmark = pytest.mark.slow

Call = Callable[[], str]
SOON = {"limits": [{"name": "one", "requests": 1, "per": "1s"}]}
LATE = {"limits": [{"name": "one", "requests": 1, "per": "1h"}]}
SPENT = {"budgets": [{"name": "money", "amount": "0.000001", "per": "year"}]}
PRICES = [{"perMillion": {"input": "0", "output": "1"}}]
HEADERS = {"Host": HOST}


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def serve(ledger: Ledger) -> Iterator[Callable[[dict[str, Any]], int]]:
    """`serve(spec) -> port`: a mesh with this policy."""
    with ExitStack() as stack:
        upstream = stack.enter_context(FakeUpstream(tls=False, api_key=key_of("primary")))
        upstream.always(Answer(body=chat_completion("hello", usage=token_usage(20, 80))))

        def start(spec: dict[str, Any]) -> int:
            policy = LLMPolicy.model_validate({"metadata": {"name": "team"}, "spec": spec})
            documents = [provider("primary", upstream, prices=PRICES), route(PRIMARY), policy]
            mesh = Mesh(documents, observer=ledger)
            app = LLMMeshMiddleware(_nothing, mesh=mesh)
            return stack.enter_context(running(app, "uvicorn-httptools"))

        yield start


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("everything is the mesh's")


def of_openai(port: int) -> Call:
    url = f"http://127.0.0.1:{port}/v1"
    client = openai.OpenAI(base_url=url, api_key="unused", default_headers=HEADERS)

    def call() -> str:
        answer = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}]
        )
        return answer.choices[0].message.content or ""

    return call


def of_anthropic(port: int) -> Call:
    url = f"http://127.0.0.1:{port}"
    client = anthropic.Anthropic(base_url=url, api_key="unused", default_headers=HEADERS)

    def call() -> str:
        answer = client.messages.create(
            model="m", max_tokens=80, messages=[{"role": "user", "content": "hi"}]
        )
        (block,) = answer.content
        assert isinstance(block, anthropic.types.TextBlock)
        return block.text

    return call


def of_google(port: int, *, attempts: int = 1) -> Call:
    options = types.HttpOptions(
        base_url=f"http://127.0.0.1:{port}",
        headers=HEADERS,
        retry_options=types.HttpRetryOptions(attempts=attempts, http_status_codes=[429]),
    )
    client = genai.Client(api_key="unused", http_options=options)
    return lambda: client.models.generate_content(model="m", contents="hi").text or ""


def refused(ledger: Ledger) -> int:
    return ledger.decided("refused")


def repeat(call: Call) -> None:
    """Call as often as a limit or a budget may have room for, and once more."""
    for _ in range(9):
        call()


@pytest.mark.parametrize("sdk", [of_openai, of_anthropic, lambda port: of_google(port, attempts=4)])
def test_an_sdk_waits_and_succeeds(
    serve: Callable[..., int], ledger: Ledger, sdk: Callable[[int], Call]
) -> None:
    call = sdk(serve(SOON))
    assert [call() for _ in range(3)] == ["hello"] * 3
    # On a machine that is slow enough there is nothing to wait for.
    assert refused(ledger) <= 4
    assert ledger.decided("allowed") == 3


@pytest.mark.parametrize(
    ("sdk", "error"),
    [
        (of_openai, openai.RateLimitError),
        (of_anthropic, anthropic.RateLimitError),
        (of_google, errors.ClientError),
    ],
)
@pytest.mark.parametrize("spec", [LATE, SPENT])
def test_an_sdk_raises_at_once_where_it_would_wait_for_long(
    serve: Callable[..., int],
    ledger: Ledger,
    spec: dict[str, Any],
    sdk: Callable[[int], Call],
    error: type[Exception],
) -> None:
    call = sdk(serve(spec))
    with pytest.raises(error) as raised:
        repeat(call)
    assert refused(ledger) == 1  # it did not come again
    assert ("limit 'one'" in str(raised.value)) == (spec is LATE)
    assert ("budget 'money'" in str(raised.value)) == (spec is SPENT)


def test_openai_is_told_a_limit_from_a_budget(serve: Callable[..., int]) -> None:
    for spec, told in ((LATE, "rate_limit_exceeded"), (SPENT, "insufficient_quota")):
        call = of_openai(serve(spec))
        with pytest.raises(openai.RateLimitError) as raised:
            repeat(call)
        assert raised.value.code == told
        assert raised.value.response.headers["x-should-retry"] == "false"


def test_anthropic_has_its_own_form(serve: Callable[..., int]) -> None:
    call = of_anthropic(serve(LATE))
    call()
    with pytest.raises(anthropic.RateLimitError) as raised:
        call()
    body: Any = raised.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "rate_limit_error")


def test_google_has_its_own_form_with_the_time_to_wait(serve: Callable[..., int]) -> None:
    call = of_google(serve(LATE))
    call()
    with pytest.raises(errors.ClientError) as raised:
        call()
    assert (raised.value.code, raised.value.status) == (429, "RESOURCE_EXHAUSTED")
    details: Any = raised.value.details
    (info,) = details["error"]["details"]
    assert info["@type"] == "type.googleapis.com/google.rpc.RetryInfo"
    assert 3500 < float(info["retryDelay"].removesuffix("s")) <= 3960  # a tenth more at most


def test_a_short_wait_is_slept_as_it_was_told(serve: Callable[..., int], ledger: Ledger) -> None:
    call = of_openai(serve({"limits": [{"name": "one", "requests": 1, "per": "2s"}]}))
    call()
    began = time.monotonic()
    call()
    if refused(ledger):  # else the first call has taken two seconds
        assert time.monotonic() - began > 0.2
        assert refused(ledger) <= 2
