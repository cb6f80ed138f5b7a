"""What the hub remembers of exchanges: attempts with their reasons, and counts by edge."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

import httpx
import msgspec
import pytest

from llm_mesh_httpx import MeshTransport
from llm_mesh_middleware import LLMProvider, Mesh, MeshSettings
from llm_mesh_middleware.observing import ClientRequest, Headers
from llm_mesh_middleware.testing import Answer, Cut, FakeUpstream, Stream, chat_stream, error_body
from llm_mesh_middleware.view._watching.counts import _MAX_SERIES
from llm_mesh_middleware.view._watching.hub import Hub
from llm_mesh_middleware.view.values import Call, Report
from tests.canaries import canary, leaks
from tests.view.conftest import HOST, VIP, Watched, route

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
}
DOWN = Answer(503, body=error_body("down", type="server_error", code="overloaded"))


def last(watched: Watched) -> Call:
    return watched.hub.report().calls[-1]


def test_a_call_is_recorded_with_its_rule_backend_and_tokens(watched: Watched) -> None:
    watched.call("one two three", headers={"user-type": "vip"})
    call = last(watched)
    assert (call.host, call.rule, call.operation, call.status) == (HOST, "vip", "chat", 200)
    assert (call.model, call.error, call.is_stream) == ("a-model", None, False)
    assert (call.input_tokens, call.output_tokens) == (3, 5)
    assert call.facts == (("header", "user-type", "vip"),)
    [attempt] = call.attempts
    assert (attempt.provider, attempt.kind, attempt.why) == ("a", "first", "the rule's choice")
    assert attempt.is_served
    assert 0 < attempt.took_ms <= call.duration_ms


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        (DOWN, "503"),
        (Answer(429, [("retry-after", "30")], error_body("slow down")), "429"),
        (Cut(how="reset"), "upstream_connect_error"),
        (Answer(200, body={"error": {"message": "no", "code": 500}}), "an unusable response"),
    ],
)
def test_a_fallback_says_what_the_attempt_before_it_ended_with(
    watched: Watched, answer: Answer | Cut, ending: str
) -> None:
    watched.a.always(answer)
    watched.call()
    first, second = last(watched).attempts
    assert (first.provider, second.provider) == ("a", "b")
    assert second.kind == "fallback"
    assert second.why == f"attempt 1 ended with {ending}"
    assert (first.is_served, second.is_served) == (False, True)
    edges = {
        each.key[2]: each.five_minutes for each in _later(watched).traffic if len(each.key) == 3
    }
    assert edges == {"a": (1, 1), "b": (1, 0)}


def test_a_stream_has_its_first_event_and_the_count_of_all(watched: Watched) -> None:
    watched.call("one two", stream=True)
    call = last(watched)
    assert call.is_stream
    assert call.first_ms is not None
    assert 0 < call.first_ms <= call.duration_ms
    assert call.events >= 4


def test_a_stream_that_breaks_off_tells_where(watched: Watched) -> None:
    events = chat_stream(["a", "b", "c", "d"])
    watched.a.always(Stream(events[:3], end="reset"))
    watched.call(stream=True, headers={"user-type": "vip"})
    call = last(watched)
    assert (call.status, call.error, call.events) == (200, "upstream_protocol_error", 3)
    assert call.attempts[0].error == "upstream_protocol_error"


def test_a_request_without_a_rule_counts_for_its_host(watched: Watched) -> None:
    watched.client.post(f"http://{HOST}/v1/unknown", json={})
    call = last(watched)
    assert (call.rule, call.status, call.error) == (None, 404, "unsupported_operation")
    assert [each.key for each in watched.hub.report().traffic] == [(HOST,)]


def test_open_streams_and_attempts_under_way_return_to_nothing(watched: Watched) -> None:
    gate = threading.Event()

    def slow(request: object) -> Answer:
        gate.wait(5)
        return Answer(200, body=error_body("late"))

    watched.a.always(slow)
    thread = threading.Thread(target=watched.call, kwargs={"headers": {"user-type": "vip"}})
    thread.start()
    watched.a.wait_for_requests(1)
    during = {each.key: each.in_flight for each in watched.hub.report().traffic}
    gate.set()
    thread.join(5)
    assert during == {(HOST, "vip", "a"): 1}
    assert all(each.in_flight == 0 for each in watched.hub.report().traffic)
    watched.a.always(None)
    watched.call(stream=True)
    assert all(each.open_streams == 0 for each in watched.hub.report().traffic)


def test_a_provider_reports_its_state_and_its_last_failure(watched: Watched) -> None:
    watched.a.always(DOWN)
    for number in range(20):
        watched.call(f"text {number}")
    state = watched.hub.report().providers["a.example"]
    assert (state.state, state.last_failure) == ("ejected", "503")
    assert 0 < state.ejected_for_s <= 30


def test_only_calls_after_a_number_are_reported_again(watched: Watched) -> None:
    for _ in range(3):
        watched.call()
    before = watched.hub.report()
    watched.call()
    after = watched.hub.report(after=before.last_number)
    assert len(after.calls) == 1
    assert after.calls[0].id not in {call.id for call in before.calls}


def test_no_key_prompt_or_answer_is_in_a_report(watched: Watched) -> None:
    prompt, key = canary("a prompt"), canary("view a")
    for provider in (watched.a, watched.b):
        provider.always(None)
    watched.call(prompt)
    watched.call(prompt, stream=True)
    watched.call(model=key, headers={"user-type": key, "authorization": f"Bearer {key}"})
    watched.a.always(Answer(401, [("x-request-id", key)], error_body(key, code=key)))
    watched.call(prompt, headers={"user-type": "vip"})
    text = msgspec.json.encode(watched.hub.report())
    assert leaks(text) == set()
    assert b"You said" not in text


def texts_of(value: object) -> Iterator[str | bytes]:
    """Every text that a value of tuples, lists, dicts, structs and headers holds."""
    match value:
        case str() | bytes():
            yield value
        case Mapping():
            yield from texts_of([*value.keys(), *value.values()])
        case Headers():
            yield from texts_of(value.raw)
        case msgspec.Struct():
            yield from texts_of([getattr(value, name) for name in value.__struct_fields__])
        case list() | tuple():
            for each in value:
                yield from texts_of(each)


def test_of_a_request_that_has_ended_only_what_may_be_shown_is_kept(watched: Watched) -> None:
    prompt, key = canary("a prompt"), canary("view a")
    headers = {"user-type": key, "authorization": f"Bearer {key}"}
    watched.client.post(
        f"http://{HOST}/v1/embeddings", json={"model": key, "input": prompt}, headers=headers
    )
    watched.hub.counts.settle()
    [ended] = watched.hub.counts.settled
    held = [*texts_of(ended)]
    assert "a.example" in held
    assert (ended.attempts[0].model, ended.facts[0][2]) == ("***", "***")
    assert leaks(repr(held).encode()) == set()


def test_a_long_or_unprintable_model_name_is_cut_and_escaped(watched: Watched) -> None:
    shown = watched.hub.shown()
    assert shown.text("modèle-漢字") == "modèle-漢字"
    assert shown.text("a\x00b\nc") == "a\\x00b\\nc"
    assert len(shown.text("x" * 10_000)) == 64


def test_the_number_of_series_is_bounded(watched: Watched) -> None:
    hub = watched.hub
    for number in range(_MAX_SERIES * 2):
        request = ClientRequest("POST", "/", Headers([]), host=f"{number}.example")
        hub(request).ended(200, None, None)
    assert 0 < len(hub.report().traffic) <= _MAX_SERIES


def test_counts_of_threads_add_up(watched: Watched) -> None:
    def run() -> None:
        for _ in range(200):
            observation = watched.hub(ClientRequest("POST", "/", Headers([]), host=HOST))
            observation.ended(200, None, None)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    report = watched.hub.report()
    [every] = [each for each in _later(watched).traffic if each.key == (HOST,)]
    assert every.five_minutes[0] == 1600
    assert len(report.calls) == 500
    assert len({call.id for call in report.calls}) == 500


def _later(watched: Watched) -> Report:
    """The report once the present second is over: windows have whole seconds only."""
    now = watched.hub.clock()
    watched.hub.clock = lambda: now + 1
    return watched.hub.report()


def test_an_attempt_tells_the_dialect_and_what_it_has_no_place_for(
    upstreams: tuple[FakeUpstream, FakeUpstream],
) -> None:
    a, _ = upstreams
    translated = LLMProvider.model_validate(
        {
            "metadata": {"name": "a"},
            "spec": {
                "host": "a.example",
                "endpoint": a.url,
                "configs": {"defaultConfig": {"openAIConfig": {"apis": ["messages"]}}},
            },
        }
    )
    a.always(Answer(body=MESSAGE))
    mesh = Mesh((translated, route({**VIP, "matches": []})), settings=MeshSettings())
    hub = Hub(mesh)
    mesh.observe(hub)
    with httpx.Client(transport=MeshTransport(mesh)) as client:
        Watched(a, a, mesh, hub, client).call(logit_bias={"1": 1})
    mesh.close()
    call = hub.report().calls[-1]
    assert (call.status, call.dialect) == (200, "openai.chat")
    [attempt] = call.attempts
    assert (attempt.dialect, attempt.dropped) == ("anthropic.messages", ("logit_bias",))
