"""Keys, prompts and answers are in nothing that is exported, unless the owner wants them there."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Iterator
from logging.handlers import BufferingHandler

import pytest

from llm_mesh_middleware._telemetry.records.access_log import JSONFormatter, LineFormatter
from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    FakeUpstream,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
)
from tests.telemetry.recording import KEY, Recorder, calling, make_mesh

PROMPT, ANSWER, CLIENT_KEY = "canary-of-the-prompt", "canary-of-the-answer", "canary-of-the-client"
BODY = {
    "model": "m-1",
    "messages": [{"role": "user", "content": PROMPT}],
    "prompt": PROMPT,
    "input": PROMPT,
    "user": PROMPT,
    "metadata": {"note": PROMPT},
    "tools": [{"type": "function", "function": {"name": PROMPT}}],
}
HEADERS = {
    "authorization": f"Bearer {CLIENT_KEY}",
    "cookie": f"session={CLIENT_KEY}",
    "api-key": CLIENT_KEY,
    "baggage": f"key={CLIENT_KEY}",
}
BROKEN = error_body(f"{ANSWER}: {PROMPT} with {KEY}", type="x", code=f"{ANSWER}")
EVENTS = chat_stream([ANSWER], include_usage=True)
ANSWERS = (
    Answer(200, [("set-cookie", ANSWER)], chat_completion(ANSWER)),
    Stream(EVENTS),
    Answer(400, [], BROKEN),
    Answer(401, [], BROKEN),
    Answer(503, [], BROKEN),
    Answer(500, [("content-type", "text/html")], f"<p>{ANSWER} {KEY}".encode()),
    Answer(200, [("content-type", "application/json")], f'{{"a": "{ANSWER}'.encode()),
    Answer(302, [("location", f"https://x.example/?{ANSWER}")], b""),
    Stream(EVENTS[:2], end="reset"),
    Stream([EVENTS[0], f"data: {{{ANSWER}\n\n".encode()]),
    Stream([EVENTS[0], b"data: %s\n\n" % json.dumps(BROKEN).encode()]),
    Cut(),
    Cut(how="reset"),
)
PATHS = ("/v1/chat/completions", "/v1/responses")


@pytest.fixture
def lines() -> Iterator[BufferingHandler]:
    """Everything that is logged, at every level."""
    handler = BufferingHandler(100_000)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.mark.parametrize("engine", ["aiohttp", "httpx"])
async def test_no_key_no_prompt_and_no_answer_is_in_any_exported_byte(
    recorder: Recorder,
    upstream: FakeUpstream,
    second: FakeUpstream,
    lines: BufferingHandler,
    engine: str,
) -> None:
    settings = {"attempt_spans": "always", "upstream_client": engine}

    async def ask(number: int) -> None:
        # A mesh for each answer, since it would eject the providers for some of them.
        mesh = make_mesh(recorder, upstream, second, settings=settings)
        async with calling(mesh) as client:
            for path, is_stream in itertools.product(PATHS, (False, True)):
                body = {**BODY, "model": f"m-{number}", "stream": is_stream}
                await client.post(f"{path}?key={CLIENT_KEY}", json=body, headers=HEADERS)

    for provider in (upstream, second):
        provider.always(lambda request: ANSWERS[int(request.json()["model"][2:])])
    await asyncio.gather(*map(ask, range(len(ANSWERS))))
    own = [r for r in lines.buffer if r.name.startswith(("llm_mesh", "opentelemetry"))]
    exported = {
        "spans": "".join(span.to_json() for span in recorder.spans),
        "metrics": recorder.reader.get_metrics_data().to_json(),
        "events": "".join(data.to_json() for data in recorder.log_exporter.get_finished_logs()),
        "json lines": "".join(map(JSONFormatter().format, own)),
        "plain lines": "".join(map(LineFormatter().format, own)),
    }
    assert len(recorder.calls) >= len(ANSWERS) * len(PATHS)
    for place, text in exported.items():
        assert len(text) > 1000, place
        for canary in (
            PROMPT,
            ANSWER,
            CLIENT_KEY,
            *(KEY[at : at + 8] for at in range(len(KEY) - 7)),
        ):
            assert canary not in text, place
