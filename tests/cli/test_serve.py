"""`llm-mesh serve` as a process: what plain HTTP clients of any language get from it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable

import httpx
import openai
import pytest

from llm_mesh_middleware.testing import Gate, Stream, chat_stream
from tests.cli.conftest import Sidecar
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, DEMO, MOONSHOT, MOONSHOT_KEY

BODY = '{"messages":[{"role":"user","content":"Please introduce yourself"}]}'
SUBSCRIBER = ("user-type", "subscriber")


Ask = Callable[..., tuple[int, str]]


def _curl(*arguments: str, **environ: str) -> tuple[int, str]:
    command = ["curl", "--silent", "--show-error", "--max-time", "5", "-w", "\n%{http_code}"]
    done = subprocess.run(
        [*command, *arguments],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=10,
    )
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def _curl_by_proxy(port: int, host: str, *headers: tuple[str, str]) -> tuple[int, str]:
    fields = [part for name, value in headers for part in ("-H", f"{name}: {value}")]
    return _curl(
        *("--location", f"http://{host}", "-H", "Content-Type: application/json", *fields),
        *("--data", BODY),
        http_proxy=f"http://127.0.0.1:{port}",
    )


def _curl_by_host(port: int, host: str, *headers: tuple[str, str]) -> tuple[int, str]:
    fields = [part for name, value in headers for part in ("-H", f"{name}: {value}")]
    return _curl(
        *("--location", f"http://127.0.0.1:{port}", "-H", f"Host: {host}", *fields),
        *("-H", "Content-Type: application/json", "--data", BODY),
    )


def _ask(port: int, target: str, host: str, *headers: tuple[str, str]) -> tuple[int, str]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        fields = {"host": host, "content-type": "application/json", **dict(headers)}
        client.request("POST", target, BODY, fields)
        answer = client.getresponse()
        return answer.status, answer.read().decode()
    finally:
        client.close()


def _by_proxy(port: int, host: str, *headers: tuple[str, str]) -> tuple[int, str]:
    return _ask(port, f"http://{host}/", host, *headers)


def _by_host(port: int, host: str, *headers: tuple[str, str]) -> tuple[int, str]:
    return _ask(port, "/", host, *headers)


_needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")


CLIENTS = [
    pytest.param(_curl_by_proxy, marks=_needs_curl, id="curl with http_proxy"),
    pytest.param(_curl_by_host, marks=_needs_curl, id="curl with a Host header"),
    pytest.param(_by_proxy, id="absolute form"),
    pytest.param(_by_host, id="origin form"),
]


def _exchange(port: int, data: bytes) -> bytes:
    """Send the bytes, say no more, and read until the server has nothing to add."""
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        received = b""
        while part := sock.recv(65536):
            received += part
    return received


@pytest.mark.parametrize("ask", CLIENTS)
def test_a_plain_http_request_reaches_the_provider_with_model_and_key(
    sidecar: Sidecar, ask: Ask
) -> None:
    status, body = ask(sidecar.port, DASHSCOPE)
    assert status == 200
    content = json.loads(body)["choices"][0]["message"]["content"]
    assert content == "You said: Please introduce yourself"
    (seen,) = sidecar.providers.dashscope.requests
    assert seen.server_name == DASHSCOPE
    assert seen.target == "/compatible-mode/v1/chat/completions"
    assert seen.header("host") == DASHSCOPE
    assert seen.header("authorization") == f"Bearer {DASHSCOPE_KEY}"
    assert seen.json() == json.loads(BODY) | {"model": "qwen1.5-72b-chat"}


@pytest.mark.parametrize("ask", CLIENTS)
def test_a_subscriber_gets_another_model(sidecar: Sidecar, ask: Ask) -> None:
    assert ask(sidecar.port, DASHSCOPE, SUBSCRIBER)[0] == 200
    (seen,) = sidecar.providers.dashscope.requests
    assert seen.json()["model"] == "qwen-turbo"
    assert seen.header("user-type") is None


def test_a_split_route_reaches_both_providers(sidecar: Sidecar) -> None:
    for _ in range(30):
        assert _by_proxy(sidecar.port, DEMO)[0] == 200
    dashscope, moonshot = sidecar.providers.dashscope, sidecar.providers.moonshot
    assert len(dashscope.requests) + len(moonshot.requests) == 30
    assert 0 < len(moonshot.requests) < 30
    assert moonshot.requests[0].header("authorization") == f"Bearer {MOONSHOT_KEY}"
    assert moonshot.requests[0].json()["model"] == "moonshot-v1-8k"


@pytest.mark.parametrize("target", ["/", "/v1/chat/completions", f"http://{DASHSCOPE}:80/"])
def test_the_client_s_path_only_says_what_it_wants(sidecar: Sidecar, target: str) -> None:
    assert _ask(sidecar.port, target, DASHSCOPE)[0] == 200
    assert sidecar.providers.dashscope.requests[0].target == "/compatible-mode/v1/chat/completions"


def test_an_absolute_target_on_another_host_is_never_fetched(sidecar: Sidecar) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        host = f"127.0.0.1:{elsewhere.getsockname()[1]}"
        status, body = _by_proxy(sidecar.port, host)
        elsewhere.settimeout(0.05)
        with pytest.raises(TimeoutError):
            elsewhere.accept()
    assert status == 404
    assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (f"http://{DASHSCOPE}/", "other.example"),
        ("http://other.example/", DASHSCOPE),
        (f"http://{DASHSCOPE}/", DEMO),
    ],
)
def test_a_host_that_disagrees_with_the_target_is_refused(
    sidecar: Sidecar, target: str, host: str
) -> None:
    status, body = _ask(sidecar.port, target, host)
    assert (status, json.loads(body)["error"]["code"]) == (400, "invalid_request")
    assert sidecar.providers.requests == []


def test_two_host_fields_are_refused(sidecar: Sidecar) -> None:
    lines = ["POST / HTTP/1.1", f"Host: {DASHSCOPE}", "Host: other.example", "Content-Length: 2"]
    answer = _exchange(sidecar.port, "\r\n".join([*lines, "", "{}"]).encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert sidecar.providers.requests == []


@pytest.mark.parametrize("target", ["other.example:443", f"{DASHSCOPE}:443", "127.0.0.1:22"])
def test_connect_is_never_a_tunnel(sidecar: Sidecar, target: str) -> None:
    answer = _exchange(
        sidecar.port, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"method_not_allowed" in answer
    assert b"http://" in answer  # how to call the mesh instead
    assert sidecar.providers.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:15001", "anything.example"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_healthz_answers_on_any_host_that_is_not_virtual(
    sidecar: Sidecar, host: str, method: str
) -> None:
    client = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=5)
    client.request(method, "/healthz", headers={"host": host})
    answer = client.getresponse()
    assert answer.status == 200
    body = b'{"status":"ok","generation":1,"problems":[]}'
    assert answer.read() == (body if method == "GET" else b"")
    client.close()


def test_any_other_path_on_another_host_is_not_found(sidecar: Sidecar) -> None:
    status, body = _by_host(sidecar.port, "other.example")
    assert (status, json.loads(body)["error"]["code"]) == (404, "route_not_found")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_healthz_answers_in_absolute_form(sidecar: Sidecar, method: str) -> None:
    client = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=5)
    client.request(method, f"http://127.0.0.1:{sidecar.port}/healthz")
    answer = client.getresponse()
    assert answer.status == 200
    assert answer.read().startswith(b'{"status":"ok"') is (method == "GET")
    client.close()


def test_the_404_names_the_host_asked_for_and_those_that_are_known(sidecar: Sidecar) -> None:
    status, body = _by_host(sidecar.port, "dash-scope.aliyuncs.example")
    message = json.loads(body)["error"]["message"]
    assert status == 404
    for name in ("'dash-scope.aliyuncs.example'", DASHSCOPE, MOONSHOT, DEMO):
        assert name in message
    assert "no_proxy" not in message


def test_the_404_for_a_client_with_http_proxy_tells_of_no_proxy(sidecar: Sidecar) -> None:
    status, body = _by_proxy(sidecar.port, "collector.example:4317")
    message = json.loads(body)["error"]["message"]
    assert status == 404
    assert "add it to the client's no_proxy" in message
    assert "'collector.example'" in message


def test_the_404_tells_a_stranger_of_no_host(sidecar: Sidecar) -> None:
    status, body = _by_host(sidecar.port, "other.example", ("x-forwarded-for", "203.0.113.9"))
    assert status == 404
    assert DASHSCOPE not in body


@pytest.mark.parametrize("host", ["a\x00b", "<script>", "x" * 5000, "", "a b"])
def test_the_404_repeats_only_what_is_a_host(sidecar: Sidecar, host: str) -> None:
    data = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    answer = _exchange(sidecar.port, data.encode())
    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 "))
    assert b"<script" not in answer
    assert b"x" * 101 not in answer


def test_an_unknown_host_is_logged_once(sidecar: Sidecar) -> None:
    for _ in range(3):
        _by_host(sidecar.port, "unheard-of.example")
    assert sidecar.output.count("no virtual host 'unheard-of.example'") == 1


def test_a_web_page_of_another_origin_is_refused(sidecar: Sidecar) -> None:
    page = ("origin", "https://evil.example")
    status, body = _by_host(sidecar.port, DASHSCOPE, page, ("content-type", "text/plain"))
    assert (status, json.loads(body)["error"]["code"]) == (403, "access_denied")
    assert sidecar.providers.requests == []


def test_a_head_that_is_too_long_is_refused(sidecar: Sidecar) -> None:
    answer = _exchange(sidecar.port, b"GET / HTTP/1.1\r\nx: " + b"x" * 70_000)
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_healthz_is_the_provider_s_business_on_a_virtual_host(sidecar: Sidecar) -> None:
    status, body = _ask(sidecar.port, "/healthz", DASHSCOPE)
    assert (status, json.loads(body)["error"]["code"]) == (404, "unsupported_operation")


@pytest.mark.slow
@pytest.mark.parametrize("own_sidecar", [["--default-host", DASHSCOPE]], indirect=True)
def test_with_a_default_host_a_base_url_is_enough(own_sidecar: Sidecar) -> None:
    base_url = f"http://127.0.0.1:{own_sidecar.port}"
    with openai.OpenAI(base_url=f"{base_url}/v1", api_key="unused") as client:
        answer = client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": "Good morning"}]
        )
        models = [model.id for model in client.models.list()]
    assert answer.model == models[0] == "qwen1.5-72b-chat"
    (request,) = own_sidecar.providers.dashscope.requests
    assert request.header("host") == DASHSCOPE
    with httpx.Client(base_url=base_url, trust_env=False) as client:
        assert client.get("/healthz").json()["status"] == "ok"
        assert client.post("/v1/files").json()["error"]["code"] == "unsupported_operation"
    with httpx.Client(proxy=base_url) as client:  # another host is not meant
        assert client.post("http://other.example/v1/chat/completions").status_code == 404
    assert len(own_sidecar.providers.dashscope.requests) == 1


def test_a_stream_comes_event_by_event(sidecar: Sidecar) -> None:
    gate, events = Gate(), chat_stream(["Good ", "day"])
    sidecar.providers.dashscope.script(Stream([*events[:2], gate, *events[2:]]))
    client = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=5)
    body = json.dumps(json.loads(BODY) | {"stream": True})
    client.request("POST", f"http://{DASHSCOPE}/", body, {"content-type": "application/json"})
    answer = client.getresponse()
    before = b"".join(events[:2])
    assert answer.read(len(before)) == before
    gate.open()
    assert before + answer.read() == b"".join(events)
    client.close()


def test_the_access_line_has_no_header_no_content_and_no_line_break(sidecar: Sidecar) -> None:
    before = len(sidecar.output)
    canaries = ("header-canary", "body-canary", "Bearer client-canary")
    client = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=5)
    client.request(
        "POST",
        "/a%0d%0aforged%20line%1b[31m/chat/completions",
        json.dumps({"messages": [{"role": "user", "content": canaries[1]}]}),
        {"host": DASHSCOPE, "x-note": canaries[0], "authorization": canaries[2]},
    )
    assert client.getresponse().status == 200
    client.close()
    deadline = time.monotonic() + 2
    # Lines are written several at a time: those of earlier requests may come first.
    while "forged" not in sidecar.output[before:] and time.monotonic() < deadline:
        time.sleep(0.01)
    (line,) = [line for line in sidecar.output[before:].splitlines() if "forged" in line]
    assert "status=200" in line
    assert "provider=dashscope-qwen" in line
    assert "\x1b" not in line
    hidden = [*canaries, "client-canary", DASHSCOPE_KEY, DASHSCOPE_KEY[:8]]
    assert not [text for text in hidden if text in sidecar.output]


def test_sigterm_lets_an_open_stream_finish_and_exits_with_0(own_sidecar: Sidecar) -> None:
    gate, events = Gate(), chat_stream(["Good ", "day"])
    own_sidecar.providers.dashscope.script(Stream([*events[:2], gate, *events[2:]]))
    client = http.client.HTTPConnection("127.0.0.1", own_sidecar.port, timeout=5)
    body = json.dumps(json.loads(BODY) | {"stream": True})
    client.request("POST", f"http://{DASHSCOPE}/", body, {"content-type": "application/json"})
    answer = client.getresponse()
    own_sidecar.process.send_signal(signal.SIGTERM)
    while "Shutting down" not in own_sidecar.output:
        time.sleep(0.01)
    gate.open()
    assert answer.read() == b"".join(events)
    client.close()
    assert own_sidecar.process.wait(10) == 0
    assert "Traceback" not in own_sidecar.output


@pytest.mark.slow
def test_sigint_exits_with_0_and_without_a_traceback(own_sidecar: Sidecar) -> None:
    assert _by_host(own_sidecar.port, DASHSCOPE)[0] == 200
    assert own_sidecar.stop(signal.SIGINT) == 0
    assert "Traceback" not in own_sidecar.output


@pytest.mark.slow
@pytest.mark.parametrize("own_sidecar", [("--workers", "2")], indirect=True)
def test_two_workers_share_the_port(own_sidecar: Sidecar) -> None:
    deadline = time.monotonic() + 30
    while own_sidecar.output.count("startup complete") < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert {_by_proxy(own_sidecar.port, DASHSCOPE)[0] for _ in range(10)} == {200}
    assert own_sidecar.stop() == 0
    assert own_sidecar.output.count("status=200") == 10
    assert own_sidecar.output.count("serving 3 virtual hosts") == 2
    assert "Traceback" not in own_sidecar.output
