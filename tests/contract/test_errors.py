"""What is refused, what fails upstream, and who is told what: the same through every adapter."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from llm_mesh_middleware.testing import Answer, Cut, Gate, Scripted, Stream, error_body
from tests.contract.calling import QUESTION, Ask, seen
from tests.contract.conftest import World, rule
from tests.resilience.meshes import FALLBACK, PRIMARY, key_of

SHORT_S = 0.1
# What a waiting client is kept by, in its own dialect.
COMMENT = b": keep-alive\n\n"
PING = b'event: ping\ndata: {"type":"ping"}\n\n'


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"[" * 100_000, b'{"n":' + b"9" * 5000 + b"}"],
    ids=["empty", "half", "array", "string", "not UTF-8", "deep", "long number"],
)
def test_a_body_that_is_no_json_object_is_400(world: World, body: bytes) -> None:
    world.start()
    answer = world.ask(body)
    assert (answer.status, answer.code) == (400, "invalid_json")
    assert not world.primary.requests


@pytest.mark.inbound
def test_a_body_that_is_too_long_is_413(world: World) -> None:
    world.start(max_request_bytes=100)
    answer = world.ask({"messages": ["x" * 200]})
    assert (answer.status, answer.code) == (413, "request_too_large")
    assert not world.primary.requests


@pytest.mark.inbound
def test_a_compressed_body_is_415(world: World) -> None:
    world.start()
    answer = world.ask(headers=[("content-encoding", "gzip")])
    assert (answer.status, answer.code) == (415, "unsupported_content_encoding")


REFUSED = Answer(422, [("x-request-id", "r-7")], error_body("no such parameter", code="odd"))


@pytest.mark.parametrize(
    ("scripted", "status", "code"),
    [
        (REFUSED, 422, "odd"),
        (Answer(401, body=error_body("bad key", code="invalid_api_key")), 401, "invalid_api_key"),
        (Answer(404, body=error_body("no such model", code="gone")), 404, "gone"),
        (Answer(302, [("location", "http://evil.example/")]), 502, "upstream_protocol_error"),
        (Answer(200, body="this is no JSON"), 502, "upstream_protocol_error"),
        (Answer(200, body=b'{"half":'), 502, "upstream_protocol_error"),
        (Cut(how="reset"), 502, "upstream_connect_error"),
        (Cut(how="fin"), 502, "upstream_connect_error"),
    ],
)
def test_a_provider_that_fails_is_told_of(
    world: World, scripted: Scripted, status: int, code: str
) -> None:
    world.primary.always(scripted)
    world.start(rule("only", retry={"attempts": 0}))
    answer = world.ask()
    assert (answer.status, answer.code) == (status, code)
    assert len(world.primary.requests) == 1


def test_an_error_page_becomes_an_error_object(world: World) -> None:
    page = Answer(500, [("content-type", "text/html")], "<h1>It broke</h1>")
    world.primary.always(page)
    world.start(rule("only", retry={"attempts": 0}))
    answer = world.ask()
    assert answer.status == 500
    assert answer.code


def test_a_provider_that_repeats_the_key_is_not_believed(world: World) -> None:
    world.primary.always(Answer(401, body=error_body(f"bad key {key_of('primary')}")))
    world.start()
    answer = world.ask()
    assert answer.status == 401
    assert key_of("primary").encode() not in answer.body


def test_rate_limits_are_passed_on_with_their_headers(world: World) -> None:
    fields = [("retry-after", "61"), ("x-ratelimit-limit-requests", "9")]
    world.primary.always(Answer(429, fields, error_body("slow down", code="slow")))
    world.start()
    answer = world.ask()
    assert (answer.status, answer.code) == (429, "slow")
    assert {name: answer.headers[name] for name, _ in fields} == dict(fields)


def test_a_provider_that_says_nothing_is_504(world: World) -> None:
    world.primary.always(Cut(how="stall"))
    world.start(rule("only", retry={"attempts": 0}), first_byte_timeout=SHORT_S)
    answer = world.ask({"messages": [], "stream": True})
    assert (answer.status, answer.code) == (504, "upstream_timeout")
    assert world.primary.requests[0].wait_disconnected()


def test_a_whole_response_may_take_as_long_as_the_request(world: World) -> None:
    world.primary.always(Answer(200, body={"choices": []}, delay=2 * SHORT_S))
    world.start(rule("only", retry={"attempts": 0}), first_byte_timeout=SHORT_S)
    assert world.ask().status == 200
    world.start(rule("only", retry={"attempts": 0}), request_timeout=SHORT_S)
    assert world.ask().code == "upstream_timeout"


def test_a_failed_provider_is_replaced_before_the_first_byte(world: World) -> None:
    world.primary.always(Answer(503, body=error_body("down")))
    world.start(rule("only", PRIMARY, FALLBACK, retry={"backoff": "1ms"}))
    answer = world.ask()
    assert (answer.status, answer.headers["x-llm-mesh-provider"]) == (200, "fallback")
    assert answer.headers["x-llm-mesh-attempts"] == "2"


def test_a_provider_that_asks_for_a_pause_gets_it(world: World) -> None:
    world.primary.script(Answer(429, [("retry-after-ms", "20")], error_body("slow down")))
    world.start()
    answer = world.ask()
    assert (answer.status, answer.headers["x-llm-mesh-attempts"]) == (200, "2")


def test_a_slow_call_is_hedged(world: World) -> None:
    world.primary.always(Cut(how="stall"))
    world.start(rule("only", PRIMARY, FALLBACK, retry={"hedgeAfter": "20ms"}))
    answer = world.ask()
    assert (answer.status, answer.headers["x-llm-mesh-provider"]) == (200, "fallback")
    assert world.primary.requests[0].wait_disconnected()


def test_a_call_that_is_hedged_may_still_win(world: World) -> None:
    hedged = Gate()
    world.primary.always(Answer(200, body={"choices": [], "slow": True}, delay=hedged))
    world.fallback.always(Cut(how="stall"))
    world.start(rule("only", PRIMARY, FALLBACK, retry={"hedgeAfter": "10ms"}))
    call = world.call()
    (other,) = world.fallback.wait_for_requests(1, 5)
    hedged.open()
    assert seen(call).json()["slow"] is True
    assert other.wait_disconnected()


def test_when_no_backend_can_be_reached_the_answer_is_503(world: World) -> None:
    nowhere = {"endpoint": "http://127.0.0.1:9", "outlierDetection": {"consecutiveFailures": 1}}
    world.start(rule("only", retry={"attempts": 0}), spec=nowhere)
    assert world.ask().code == "upstream_connect_error"
    answer = world.ask()
    assert (answer.status, answer.code) == (503, "no_healthy_upstream")
    assert int(answer.headers["retry-after"]) >= 1


def test_a_kept_connection_that_died_is_replaced_unseen(world: World) -> None:
    world.start()
    assert world.ask().status == 200
    world.primary.drop_connections("reset")
    answer = world.ask()
    assert (answer.status, answer.headers["x-llm-mesh-attempts"]) == (200, "1")


def test_a_connection_is_used_again(world: World) -> None:
    world.start()
    before = world.primary.accepted_connections
    for _ in range(3):
        assert world.ask().status == 200
    assert world.primary.accepted_connections == before + 1


def not_found(world: World) -> None:
    world.start(rule("none", matches=[{"model": {"exact": "nothing-else"}}]))


def broken(world: World) -> None:
    world.primary.always(Cut(how="reset"))
    world.start(rule("only", retry={"attempts": 0}))


OPENAI = {"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"}
FAILURES = [(not_found, 404, "not_found_error"), (broken, 502, "api_error")]


@pytest.mark.parametrize("path", sorted(OPENAI))
@pytest.mark.parametrize(("start", "status", "_"), FAILURES)
def test_the_meshs_errors_are_openais_for_clients_of_openai(
    world: World, path: str, start: Callable[[World], None], status: int, _: str
) -> None:
    start(world)
    answer = world.ask(path=path)
    assert answer.status == status
    assert answer.code


@pytest.mark.parametrize(("start", "status", "type"), FAILURES)
def test_the_meshs_errors_are_anthropics_for_clients_of_anthropic(
    world: World, start: Callable[[World], None], status: int, type: str
) -> None:
    start(world)
    answer = world.ask(path="/v1/messages")
    made = answer.json()
    assert (answer.status, made["error"]["type"]) == (status, type)
    assert set(made) == {"type", "error", "request_id"}
    assert set(made["error"]) == {"type", "message"}
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.inbound
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/v1/files"])
def test_a_refused_body_is_an_error_of_the_clients_dialect(world: World, path: str) -> None:
    world.start(max_request_bytes=100)
    made = world.ask({"messages": ["x" * 200]}, path=path).json()
    assert made.get("type", "openai") == ("error" if path == "/v1/messages" else "openai")


@pytest.mark.inbound
@pytest.mark.parametrize(
    ("path", "alive", "begin"),
    [
        ("/v1/messages", PING, b'event: error\ndata: {"type":"error","error":{"type":"api_error"'),
        ("/v1/responses", COMMENT, b'event: error\ndata: {"type":"error","code":"upstream_'),
        ("/v1/chat/completions", COMMENT, b'data: {"error":{"message":'),
    ],
)
def test_an_error_after_a_keep_alive_is_an_event_of_the_clients_dialect(
    world: World, path: str, alive: bytes, begin: bytes
) -> None:
    gate = Gate()
    world.primary.always(Stream([gate], end="reset"))
    world.start(rule("only", retry={"attempts": 0}), sse_keepalive=0.02)
    call = world.call(Ask({**QUESTION, "stream": True}, path=path))
    pieces = call.pieces()
    assert next(pieces).startswith(alive)
    gate.open()
    rest = b"".join(pieces)
    while rest.startswith(alive):
        rest = rest.removeprefix(alive)
    assert rest.startswith(begin)
    assert json.loads(rest.partition(b"data: ")[2])
