"""Every example, run as its README says, against providers that need neither key nor network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from llm_mesh_middleware.testing import assert_routed
from tests.conftest import Providers
from tests.examples.conftest import Serve
from tests.examples.running import EXAMPLES, Example
from tests.processes import ROOT, free_port
from tests.telemetry.e2e.sink import Sink

FOLDERS = sorted(path for path in EXAMPLES.iterdir() if path.is_dir())


@pytest.mark.slow
def test_fastapi_serves_the_canary_by_rule_and_itself(
    serve: Serve, leading: Mapping[str, str], providers: Providers
) -> None:
    example = Example("fastapi_canary", leading)
    _, port = serve(example)

    head, _, body = example.ask(port).partition("\n\n")
    assert json.loads(body)["object"] == "chat.completion"
    assert "x-llm-mesh-rule: everybody" in head
    assert example.ask(port, more="-H 'x-tester: 1'").count("x-llm-mesh-provider: canary") == 1
    assert providers.moonshot.requests[-1].json()["model"] == "moonshot-v1-8k"
    own = httpx.get(f"http://127.0.0.1:{port}/")
    assert own.json() == {"message": "Hello from the application"}


@pytest.mark.slow
def test_a_support_bot_keeps_addresses_from_the_provider(
    serve: Serve, leading: Mapping[str, str], providers: Providers
) -> None:
    example = Example("private_support_bot", leading)
    _, port = serve(example)

    head, _, body = example.ask(port).partition("\n\n")
    assert "x-llm-mesh-guards: masked personal-data" in head
    assert "anna@example.com" in body
    assert "[EMAIL_1]" in providers.dashscope.requests[-1].body.decode()
    assert "x-llm-mesh-cache: hit" in example.ask(port)


@pytest.mark.slow
def test_curl_is_served_through_a_sidecar(leading: Mapping[str, str], providers: Providers) -> None:
    with Example("sidecar_curl", leading).begin(port=free_port()) as program:
        program.wait(20)

    (answer,) = [line for line in program.lines if line.startswith("{")]
    assert json.loads(answer)["choices"][0]["message"]["content"] == "You said: Hello"
    (seen,) = providers.dashscope.requests
    assert (seen.header("authorization"), seen.json()["model"]) == (
        "Bearer ...",
        "qwen1.5-72b-chat",
    )
    assert any("prompt_tokens=" in line for line in program.lines)


@pytest.mark.slow
def test_spans_and_token_counts_reach_a_collector(
    serve: Serve, leading: Mapping[str, str], providers: Providers
) -> None:
    with Sink() as sink:
        own = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
        example = Example("otel_collector", {**leading, **own}, collector=sink.url)
        program, port = serve(example)
        assert json.loads(example.ask(port))["object"] == "chat.completion"
        program.terminate()  # what is still waiting is sent
        program.wait(10)

    (span,) = [span for span in sink.spans if span.name == "chat qwen1.5-72b-chat"]
    assert span.resource["service.name"] == "otel-example"
    tokens = sink.metrics["gen_ai.client.token.usage"]
    counts = {point.attributes["gen_ai.token.type"]: point.value for point in tokens}
    assert counts["output"] == span.attributes["gen_ai.usage.output_tokens"] > 0


@pytest.mark.slow
def test_django_gives_who_pays_the_bigger_model(
    serve: Serve, leading: Mapping[str, str], providers: Providers
) -> None:
    example = Example("django_tiers", leading)
    _, port = serve(example)

    assert "x-llm-mesh-model: qwen1.5-72b-chat" in example.ask(port)
    url, question = f"http://127.0.0.1:{port}/", {"messages": [{"role": "user", "content": "Hi"}]}
    answers = [
        httpx.post(url, json=question, headers={"host": "chat", **headers})
        for headers in ({"x-token": "token-of-bob"}, {"x-token": "guessed"}, {"plan": "pro"})
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 401]
    assert_routed(answers[0], rule="everybody", model="qwen-turbo")
    assert httpx.get(url).json() == {"message": "Hello from the project"}


@pytest.mark.slow
def test_flask_splits_by_weight(
    serve: Serve, leading: Mapping[str, str], providers: Providers
) -> None:
    example = Example("flask_weighted", leading)
    _, port = serve(example)

    counts = dict(reversed(line.split()) for line in example.ask(port).splitlines())
    assert set(counts) == {"dashscope-qwen", "moonshot"}
    assert sum(map(int, counts.values())) == 20 == len(providers.requests)
    assert httpx.get(f"http://127.0.0.1:{port}/").json() == {
        "message": "Hello from the application"
    }


@pytest.mark.slow
def test_the_openai_sdk_s_own_calls_are_routed(
    leading: Mapping[str, str], providers: Providers
) -> None:
    with Example("openai_sdk_outbound", leading).begin() as program:
        program.wait(20)

    assert program.lines == [
        "free, qwen-turbo: You said: Hello\n",
        "pro, qwen1.5-72b-chat: You said: Hello\n",
    ]
    first, second = providers.dashscope.requests
    assert first.header("authorization") == second.header("authorization") == "Bearer ..."
    assert first.json()["stream"] is True


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_an_example_is_short(folder: Path) -> None:
    files = [path for path in folder.iterdir() if path.suffix in (".py", ".sh")]
    lines = [line.strip() for path in files for line in path.read_text("utf-8").splitlines()]
    readme = (folder / "README.md").read_text("utf-8").splitlines()

    assert 0 < len([line for line in lines if line and not line.startswith("#")]) < 60
    assert len(readme) <= 40
    assert (folder / "mesh.yaml").is_file()
    page = ROOT / "docs" / "how-to" / "examples.md"
    assert f"| `{folder.name}` |" in page.read_text("utf-8")
