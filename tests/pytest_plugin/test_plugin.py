"""The plugin in runs of its own: what its fixtures give, and what they cost who uses none."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT

EXAMPLE = ROOT / "examples" / "fastapi_canary"
NAME = "llm_mesh_pytest"

# Every socket that is connected, or bound, ends the test.
NO_SOCKETS = """
import pytest, socket

@pytest.fixture(autouse=True)
def no_sockets(monkeypatch):
    def refuse(*_):
        raise AssertionError("a socket was used")
    for name in ("connect", "connect_ex", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)
"""

MANIFEST = """
apiVersion: istio.alibabacloud.com/v1
kind: LLMRoute
metadata: {name: chat}
spec:
  host: chat
  rules:
  - name: pro
    matches: [{attributes: {plan: {exact: pro}}}]
    backendRefs: [{providerHost: one.example, model: m-pro}]
  - name: rest
    backendRefs:
    - {providerHost: one.example, weight: 50}
    - {providerHost: two.example, weight: 50}
---
apiVersion: istio.alibabacloud.com/v1
kind: LLMProvider
metadata: {name: one}
spec:
  host: one.example
  configs: {defaultConfig: {openAIConfig: {model: m-1, apiKey: "${KEY_OF_ONE}"}}}
---
apiVersion: istio.alibabacloud.com/v1
kind: LLMProvider
metadata: {name: two}
spec:
  host: two.example
  configs: {defaultConfig: {openAIConfig: {model: m-2, apiKeyFrom: {env: KEY_OF_TWO}}}}
"""

TESTS = """
import asyncio, httpx, pytest
from llm_mesh_middleware import ConfigError, LLMMeshMiddleware
from llm_mesh_middleware.testing import Answer, Stream, assert_routed, chat_stream, error_body

pytestmark = pytest.mark.filterwarnings("error")
QUESTION = {"messages": [{"role": "user", "content": "Good morning"}]}


def test_keys_that_nobody_has_set_are_made_up(llm_mesh, llm_upstream, monkeypatch):
    monkeypatch.setenv("KEY_OF_TWO", "sk-set")
    monkeypatch.setenv("KEY_OF_ONE", "")
    client = llm_mesh("mesh.yaml")
    for _ in range(20):
        assert client.post("http://chat/", json=QUESTION).status_code == 200
    keys = {seen.header("authorization") for seen in llm_upstream.requests}
    assert keys == {"Bearer test-KEY_OF_ONE", "Bearer sk-set"}


def test_what_the_application_knows(llm_mesh):
    client = llm_mesh("mesh.yaml")
    with client.mesh.attributes(plan="pro"):
        answer = client.post("http://chat/v1/chat/completions", json=QUESTION)
    assert_routed(answer, provider="one", rule="pro", model="m-pro")


def test_weights_are_drawn_alike_in_every_run(llm_mesh):
    def draw():
        client = llm_mesh("mesh.yaml")
        answers = [client.post("http://chat/", json=QUESTION) for _ in range(20)]
        return [answer.headers["x-llm-mesh-provider"] for answer in answers]
    assert draw() == draw()
    assert set(draw()) == {"one", "two"}


def test_answers_are_scripted(llm_mesh, llm_upstream):
    llm_upstream.always(Answer(400, body=error_body("no")))
    assert llm_mesh("mesh.yaml").post("http://chat/", json=QUESTION).status_code == 400


def test_a_stream_comes_in_events(llm_mesh, llm_upstream):
    events = chat_stream(["Good ", "morning"], include_usage=False)
    llm_upstream.script(Stream(events))
    asked = {**QUESTION, "stream": True}
    with llm_mesh("mesh.yaml").stream("POST", "http://chat/", json=asked) as answer:
        assert b"".join(answer.iter_raw()) == b"".join(events)


def test_other_hosts_are_refused_by_name(llm_mesh):
    client = llm_mesh("mesh.yaml")
    with pytest.raises(RuntimeError, match="api.example is not a virtual host .*chat, one.example"):
        client.get("https://api.example/v1/models")


def test_settings_are_those_that_are_given(llm_mesh, monkeypatch):
    monkeypatch.setenv("LLM_MESH_RESPONSE_HEADERS", "false")
    monkeypatch.setenv("LLM_MESH_REQUEST_TIMEOUT", "never")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    client = llm_mesh("mesh.yaml", namespace="tests")
    assert client.mesh.settings.namespace == "tests"
    assert_routed(client.post("http://chat.tests/", json=QUESTION), attempts=1)
    with pytest.raises(ConfigError, match="unknown setting"):
        llm_mesh("mesh.yaml", namspace="tests")


async def _app(scope, receive, send):
    raise AssertionError("not a virtual host")


def test_the_mesh_stands_before_an_application_too(llm_mesh, llm_upstream):
    app = LLMMeshMiddleware(_app, mesh=llm_mesh("mesh.yaml").mesh)

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            return await client.post("http://chat/", json=QUESTION)

    assert_routed(asyncio.run(ask()), rule="rest")


def test_a_client_may_be_closed_early(llm_mesh):
    with llm_mesh("mesh.yaml") as client:
        assert client.post("http://chat/", json=QUESTION).status_code == 200
    assert client.is_closed
"""

NOTHING_IMPORTED = """
import sys

def test_nothing():
    wanted = ("httpx", "pydantic", "llm_mesh_middleware", "llm_mesh_httpx")
    assert "llm_mesh_pytest" in sys.modules
    assert [name for name in wanted if name in sys.modules] == []
"""


# What else is installed here takes longer to load than the tests to run.
ALONE = (
    "-p",
    "no:langsmith_plugin",
    "-p",
    "no:faker",
    "-p",
    "no:hypothesispytest",
    "-p",
    "no:xdist",
)


@pytest.fixture
def inner(pytester: pytest.Pytester) -> pytest.Pytester:
    """A run that is not told of this project's options."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    return pytester


def test_the_canary_example_passes_without_key_or_socket(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("YOUR_DASHSCOPE_API_KEY")
    monkeypatch.delenv("YOUR_MOONSHOT_API_KEY")
    for name in ("mesh.yaml", "test_canary.py"):
        Path(inner.path, name).write_bytes((EXAMPLE / name).read_bytes())
    inner.makeconftest(NO_SOCKETS)

    inner.runpytest_inprocess(*ALONE, "-p", NAME).assert_outcomes(passed=2)


def test_a_test_of_a_canary_takes_ten_lines_at_most() -> None:
    tree = ast.parse((EXAMPLE / "test_canary.py").read_text("utf-8"))
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef)]

    assert [node.name for node in tests if node.end_lineno - node.lineno >= 10] == []
    assert tests


@pytest.mark.slow
def test_the_fixtures_do_what_they_say(inner: pytest.Pytester) -> None:
    Path(inner.path, "mesh.yaml").write_text(MANIFEST, "utf-8")
    inner.makeconftest(NO_SOCKETS)
    inner.makepyfile(TESTS)

    inner.runpytest_inprocess(*ALONE, "-p", NAME).assert_outcomes(passed=9)


@pytest.mark.slow
def test_who_uses_no_fixture_pays_for_none(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    inner.makepyfile(NOTHING_IMPORTED)

    inner.runpytest_subprocess("-p", NAME).assert_outcomes(passed=1)


def test_the_test_of_the_documents_passes(inner: pytest.Pytester) -> None:
    for page, marker, language, file in (
        ("routing.md", "<!-- file: subscribers.yaml -->", "yaml", "subscribers.yaml"),
        ("testing.md", "# Testing your routes", "python", "test_page.py"),
    ):
        rest = (ROOT / "docs" / "how-to" / page).read_text("utf-8").partition(marker)[2]
        block = rest.partition(f"```{language}\n")[2].partition("```")[0]
        Path(inner.path, file).write_text(block, "utf-8")
    inner.makeconftest(NO_SOCKETS)

    inner.runpytest_inprocess(*ALONE, "-p", NAME).assert_outcomes(passed=1)


@pytest.mark.parametrize("options", [("-p", f"no:{NAME}"), ()])
def test_a_project_s_own_fixtures_of_these_names_go_before(
    inner: pytest.Pytester, options: tuple[str, ...]
) -> None:
    inner.makepyfile(
        """
        import pytest

        @pytest.fixture
        def llm_mesh():
            return "own"

        def test_it(llm_mesh):
            assert llm_mesh == "own"
        """
    )

    inner.runpytest_inprocess(*ALONE, "-p", NAME, *options).assert_outcomes(passed=1)


def test_without_the_plugin_its_fixtures_are_unknown(inner: pytest.Pytester) -> None:
    inner.makepyfile("def test_it(llm_mesh): pass")

    result = inner.runpytest_inprocess(*ALONE, "-p", f"no:{NAME}")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'llm_mesh' not found*"])
