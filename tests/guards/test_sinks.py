"""Where a masked value may be: with its own client, and nowhere else.

sinks   provider, mirror, webhook, judge, cache, log, access record, metrics,
        spans and events with content
"""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from llm_mesh_middleware import LLMPolicy
from llm_mesh_middleware._core.caching.entry import unpack
from llm_mesh_middleware._engine.ports.memory_cache import MemoryCache
from llm_mesh_middleware.testing import (
    Answer,
    FakeUpstream,
    RecordedRequest,
    Stream,
    chat_completion,
    chat_stream,
)
from tests.telemetry.recording import Recorder, calling, make_mesh

SWITCH = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
# Each has a mark of its own, which is searched for wherever something is kept or sent.
MAILS = {"anna": "anna.zqmark@example.com", "bob": "bob.zqmark@example.com"}
MARK = "zqmark"
GENERATE = "/v1beta/models/m:generateContent"
STREAM_GENERATE = "/v1beta/models/m:streamGenerateContent?alt=sse"
PATHS = ("/v1/chat/completions", "/v1/messages", "/v1/responses", GENERATE, STREAM_GENERATE)


def asked(path: str, text: str, *, is_stream: bool) -> dict[str, Any]:
    if path in (GENERATE, STREAM_GENERATE):
        return {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    turns = [{"role": "user", "content": text}]
    if path.endswith("responses"):
        return {"model": "m", "input": turns, "stream": is_stream}
    return {"model": "m", "messages": turns, "max_tokens": 99, "stream": is_stream}


def echo(request: RecordedRequest) -> Answer | Stream:
    """Say what was asked, as a stream in pieces of three characters."""
    body = request.json()
    text = f"You said: {body['messages'][-1]['content']} indeed"
    if not body.get("stream"):
        return Answer(body=chat_completion(text))
    return Stream(chat_stream([text[at : at + 3] for at in range(0, len(text), 3)]))


def is_judged(request: RecordedRequest) -> bool:
    """Whether a judge is asked: the other requests are the client's own."""
    return not str(request.json()["messages"][0]["content"]).startswith("I am ")


def echo_or_judge(request: RecordedRequest) -> Answer | Stream:
    """Be the judge too."""
    verdict = json.dumps({"result": "allow", "reason": "because"})
    return Answer(body=chat_completion(verdict)) if is_judged(request) else echo(request)


def allow(request: RecordedRequest) -> Answer:
    return Answer(body={"result": "allow"})


@pytest.fixture
def places() -> Iterator[tuple[FakeUpstream, FakeUpstream, FakeUpstream]]:
    """The provider, the provider of the copies and of the judge, the webhook."""
    with (
        FakeUpstream(tls=False) as upstream,
        FakeUpstream(tls=False) as mirror,
        FakeUpstream(tls=False) as service,
    ):
        upstream.always(echo)
        mirror.always(echo_or_judge)
        service.always(allow)
        yield upstream, mirror, service


def policy(service: FakeUpstream) -> LLMPolicy:
    sides = ["request", "response"]
    pii = {"name": "pii", "on": sides, "pii": {}, "action": {"mask": {"unmask": True}}}
    hook = {"name": "hook", "on": sides, "webhook": {"url": service.url}}
    judge = {"name": "judge", "on": sides, "judge": {"providerHost": "b.example", "model": "j"}}
    spec = {"guards": [pii, hook, judge], "cache": {"vary": []}}
    return LLMPolicy.model_validate({"metadata": {"name": "team"}, "spec": spec})


def text_of(response: httpx.Response) -> str:
    """The texts of a whole or streamed reply, without what is between their pieces."""
    if not response.headers["content-type"].startswith("text/event-stream"):
        return response.text
    names, found = ("content", "text", "delta"), list[str]()
    for line in response.text.splitlines():
        if line.startswith("data: {"):
            pending = [json.loads(line[6:])]
            while pending:
                here = pending.pop()
                if isinstance(here, dict):
                    found += [str(v) for k, v in here.items() if k in names and isinstance(v, str)]
                    pending += here.values()
                elif isinstance(here, list):
                    pending += here
    return "".join(found)


def kept() -> Iterator[str]:
    """What is in the caches of this process."""
    for cache in gc.get_objects():
        if type(cache) is MemoryCache:  # `isinstance` would set up lazy objects of Django
            for key, (data, *_) in list(cache._entries.items()):
                entry = unpack(data)
                yield key + ("" if entry is None else entry.body.decode())


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_masked_value_is_with_its_own_client_alone(
    places: tuple[FakeUpstream, FakeUpstream, FakeUpstream],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    is_stream: bool,
) -> None:
    monkeypatch.setenv(SWITCH, "SPAN_AND_EVENT")
    caplog.set_level(logging.DEBUG)
    upstream, mirror, service = places
    recorder = Recorder()
    rule = {"mirrors": [{"providerHost": "b.example", "percent": 100}]}
    mesh = make_mesh(
        recorder,
        upstream,
        mirror,
        config={"apis": ["chat"]},
        rule={"backendRefs": [{"providerHost": "a.example"}], **rule},
        policies=[policy(service)],
    )
    results = []
    async with calling(mesh) as client:
        for path in PATHS:
            for mail in MAILS.values():
                body = asked(path, f"I am {mail}, hello", is_stream=is_stream)
                reply = await client.post(path, json=body)
                assert reply.status_code == 200, reply.text
                results.append(reply.headers["x-llm-mesh-cache"])
                others = set(MAILS.values()) - {mail}
                said = text_of(reply)
                assert f"You said: I am {mail}, hello indeed" in said
                assert not any(other in reply.text + said for other in others)
        await recorder.until(lambda: not all(map(is_judged, mirror.requests)))

    assert "hit" in results
    assert any(map(is_judged, mirror.requests))
    for place in places:
        assert place.requests
        assert not [each for each in place.requests if MARK.encode() in each.body]
    sinks = {
        "cache": [*kept()],
        "span": [span.to_json() for span in recorder.spans],
        "event": [data.to_json() for data in recorder.log_exporter.get_finished_logs()],
        "log": [caplog.text, *(str(vars(record)) for record in caplog.records)],
        "metric": [str(recorder.metrics())],
    }
    assert not [(name, each) for name, texts in sinks.items() for each in texts if MARK in each]
    for name in ("cache", "span", "event"):
        assert any("[EMAIL_1]" in each for each in sinks[name]), name
