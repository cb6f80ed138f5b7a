"""`llm-mesh serve --default-host`: clients of all kinds that know a base URL and nothing else.

Each sends what its program sends: the fields, the members and the order of calls.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.cli.conftest import Sidecar, _serve
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, Providers

MODEL = "qwen1.5-72b-chat"
QUESTION = [{"role": "user", "content": "Good morning"}]


@pytest.fixture(scope="module")
def shared(cli_providers: Providers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    log = tmp_path_factory.mktemp("base-urls") / "log"
    yield from _serve(cli_providers, log, "--default-host", DASHSCOPE)


@pytest.fixture
def sidecar(shared: Sidecar) -> Sidecar:
    shared.providers.dashscope.clear()
    return shared


@pytest.fixture
def base_url(sidecar: Sidecar) -> str:
    return f"http://127.0.0.1:{sidecar.port}"


def sent(sidecar: Sidecar) -> dict[str, Any]:
    """What the provider was asked, after a look at where and with which key."""
    (request,) = sidecar.providers.dashscope.requests
    assert request.path == "/compatible-mode/v1/chat/completions"
    assert request.header("authorization") == f"Bearer {DASHSCOPE_KEY}"
    body: dict[str, Any] = json.loads(request.body)
    assert body["model"] == MODEL
    return body


def events(response: httpx.Response) -> list[dict[str, Any]]:
    data = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    assert data[-1] == "[DONE]"
    return [json.loads(each) for each in data[:-1]]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions", "/"])
def test_curl(sidecar: Sidecar, base_url: str, path: str) -> None:
    command = ["curl", "-sS", "--max-time", "10", f"{base_url}{path}"]
    command += ["-H", "Content-Type: application/json", "-d", json.dumps({"messages": QUESTION})]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)

    assert json.loads(done.stdout)["model"] == MODEL
    assert sent(sidecar)["messages"] == QUESTION


@pytest.mark.parametrize("stream", [False, True])
def test_the_openai_sdk(sidecar: Sidecar, base_url: str, *, stream: bool) -> None:
    with openai.OpenAI(base_url=f"{base_url}/v1", api_key="unused") as client:
        reply = client.chat.completions.create(model="any", messages=QUESTION, stream=stream)  # type: ignore[call-overload]
        text = (
            "".join(part.choices[0].delta.content or "" for part in reply if part.choices)
            if stream
            else reply.choices[0].message.content
        )
        models = [model.id for model in client.models.list()]

    assert text
    assert models == [MODEL]
    assert sent(sidecar)["messages"] == QUESTION


@pytest.mark.parametrize("stream", [False, True])
def test_the_anthropic_sdk(sidecar: Sidecar, base_url: str, *, stream: bool) -> None:
    options: Any = {"model": "any", "max_tokens": 100, "messages": QUESTION}
    with anthropic.Anthropic(base_url=base_url, api_key="unused") as client:
        if stream:
            with client.messages.stream(**options) as reply:
                text = reply.get_final_text()
        else:
            text = client.messages.create(**options).content[0].text  # type: ignore[union-attr]

    assert text
    assert sent(sidecar)["messages"] == QUESTION


def test_open_webui(sidecar: Sidecar, base_url: str) -> None:
    """It lists the models to test the connection, and streams with its own fields beside."""
    headers = {
        "Authorization": "Bearer unused",
        "X-OpenWebUI-User-Name": "someone",
        "X-OpenWebUI-User-Id": "7",
        "X-OpenWebUI-User-Role": "user",
        "X-OpenWebUI-Chat-Id": "c-1",
        "User-Agent": "Python/3.11 aiohttp/3.12",
    }
    with httpx.Client(base_url=f"{base_url}/v1", headers=headers, trust_env=False) as client:
        listed = client.get("/models").json()
        body = {"stream": True, "model": listed["data"][0]["id"], "messages": QUESTION}
        response = client.post("/chat/completions", json=body)

    assert listed["object"] == "list"
    assert response.headers["content-type"].startswith("text/event-stream")
    assert events(response)[-1]["choices"][0]["finish_reason"] == "stop"
    assert sent(sidecar)["messages"] == QUESTION
    (request,) = sidecar.providers.dashscope.requests
    assert [name for name, _ in request.headers if "openwebui" in name] == []


def test_aider(sidecar: Sidecar, base_url: str) -> None:
    """It asks for a stream with usage, with a model in the vendor's form and a temperature."""
    headers = {"HTTP-Referer": "https://aider.chat", "X-Title": "Aider"}
    edit = {"role": "system", "content": "Act as an expert software developer."}
    with openai.OpenAI(
        base_url=f"{base_url}/v1", api_key="unused", default_headers=headers, max_retries=0
    ) as client:
        reply = client.chat.completions.create(
            model="openai/any",
            messages=[edit, *QUESTION],  # type: ignore[list-item]
            stream=True,
            stream_options={"include_usage": True},
            temperature=0,
        )
        parts = list(reply)

    assert parts[-1].usage is not None
    assert sent(sidecar)["temperature"] == 0


def test_a_program_that_asks_for_one_model(sidecar: Sidecar, base_url: str) -> None:
    with openai.OpenAI(base_url=f"{base_url}/v1", api_key="unused") as client:
        assert client.models.retrieve(MODEL).id == MODEL
        with pytest.raises(openai.NotFoundError) as raised:
            client.models.retrieve("none-of-them")

    assert raised.value.code == "model_not_found"
    assert sidecar.providers.dashscope.requests == []


def test_a_browser_that_calls_by_itself_needs_its_origin_listed(base_url: str) -> None:
    """Open WebUI's direct connections are calls of the browser's."""
    with httpx.Client(trust_env=False) as client:
        headers = {"Origin": "https://chat.example"}
        response = client.get(f"{base_url}/v1/models", headers=headers)

    assert response.status_code == 403
    assert "LLM_MESH_ORIGINS" in response.json()["error"]["message"]
