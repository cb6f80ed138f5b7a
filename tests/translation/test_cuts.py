"""A provider's stream, cut anywhere: the client gets the same events."""

from __future__ import annotations

import json
import random

import pytest

from tests.benchmarks.dialects import event_s, unary_s
from tests.rows import rows
from tests.translation.dialect_table import DIALECTS, PAIRS, relay


def passed(client: str, provider: str, *pieces: bytes) -> bytes:
    one = relay(client, provider)
    out = b"".join([*map(one.feed, pieces), one.finish()])
    assert one.error is None
    return out


@pytest.mark.slow
@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_a_stream_of_single_bytes_gives_the_same_events(client: str, provider: str) -> None:
    stream = b"".join(DIALECTS[provider].stream)
    whole = passed(client, provider, stream)
    assert passed(client, provider, *(stream[i : i + 1] for i in range(len(stream)))) == whole
    draw = random.Random(7)
    for _ in range(20):
        cuts = sorted(draw.randrange(len(stream)) for _ in range(9))
        ends = zip([0, *cuts], [*cuts, len(stream)], strict=True)
        assert passed(client, provider, *(stream[a:b] for a, b in ends)) == whole


@pytest.mark.slow
@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_every_cut_gives_the_same_events(client: str, provider: str) -> None:
    stream = b"".join(DIALECTS[provider].stream)
    whole = passed(client, provider, stream)
    for at in range(len(stream)):
        assert passed(client, provider, stream[:at], stream[at:]) == whole


@rows(("client", "provider"), PAIRS)
def test_a_stream_that_ends_too_early_has_no_end(client: str, provider: str) -> None:
    spoken = DIALECTS[provider]
    for count in range(len(spoken.stream) - spoken.last + 1):
        one = relay(client, provider)
        out = one.feed(b"".join(spoken.stream[:count])) + one.finish()
        assert one.error is not None
        assert b"error" in out
        assert DIALECTS[client].end not in out


@rows(("client", "provider"), PAIRS)
def test_calls_stay_apart_in_every_pair(client: str, provider: str) -> None:
    out = passed(client, provider, b"".join(DIALECTS[provider].stream))
    told = [json.loads(line[6:]) for line in out.splitlines() if line.startswith(b"data: {")]
    text = json.dumps(told, ensure_ascii=False)
    assert "hm" in text
    names = ("look",) if provider == "responses" else ("one", "two")
    assert all(f'"name": "{name}"' in text for name in names)


def test_the_benchmark_of_translations_runs() -> None:
    assert 0 < unary_s("messages", "chat", 1) < 1
    assert 0 < event_s("chat", "bedrock", 1) < 1
