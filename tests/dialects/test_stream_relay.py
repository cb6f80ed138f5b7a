"""A relayed stream: the provider's own bytes, less one event, and no truncation unseen."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_mesh_middleware._core.http.sse import EventCutter, event_data
from llm_mesh_middleware._core.values.usage import Usage
from llm_mesh_middleware.exceptions import ClientDisconnected, UpstreamProtocolError
from llm_mesh_middleware.testing import chat_stream
from tests.core.tables import ACME
from tests.dialects.relaying import (
    COUNTS,
    DONE,
    KEY,
    LINE_ENDS,
    STOP,
    USAGE,
    delta,
    event,
    relay_of,
    relayed,
)
from tests.rows import rows
from tests.streams.pieces import PLACES, cut, whole_and_bytes


def last_error(stream: bytes) -> dict[str, object]:
    """The error of the last event, which must be one; the form of the object is checked."""
    events = list(EventCutter(1 << 25).feed(stream))
    body = json.loads(event_data(events[-1]))
    assert list(body) == ["error"]
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert b"[DONE]" not in stream
    return dict(body["error"])


# Streams that are complete: what the client gets is these bytes, but for `USAGE`.
# fmt: off
COMPLETE = {
    "as OpenAI ends": [delta(), STOP, USAGE, DONE],
    "without counts": [delta(), STOP, DONE],
    "counts first": [USAGE, delta(), STOP, DONE],
    "counts twice": [delta(), STOP, USAGE, USAGE, DONE],
    "counts after [DONE]": [delta(), STOP, DONE, USAGE],
    "counts in every content event": [
        delta(usage=COUNTS), delta("", reason="stop", usage=COUNTS), DONE
    ],
    "counts in the last content event": [delta(), delta("", reason="stop", usage=COUNTS), DONE],
    "counts beside a null": [delta(usage=None), STOP, USAGE, DONE],
    "a first event without choices": [
        event(choices=[], prompt_filter_results=[{}]), delta(), STOP, DONE
    ],
    "no [DONE] but a finish reason": [delta(), STOP],
    "no [DONE], counts at the end": [delta(), STOP, USAGE],
    "no finish reason but [DONE]": [delta(), DONE],
    "[DONE] without its empty line": [delta(), STOP, b"data: [DONE]"],
    "[DONE] with one line end": [delta(), STOP, b"data: [DONE]\n"],
    "[DONE] without a space": [delta(), STOP, b"data:[DONE]\n\n"],
    "several choices": [
        delta(), delta(index=1), delta(reason="stop"), delta(index=1, reason="stop")
    ],
    "several choices in one event": [
        event(choices=[{"index": i, "delta": {}, "finish_reason": "stop"} for i in range(3)])
    ],
    "comments": [
        b": hello\n\n", delta(), b": ping\n", STOP, b": ping\n\n", USAGE, b": bye\n", DONE
    ],
    "other fields": [b"id: 1\nevent: chunk\nretry: 5\n" + delta(), b"event: ping\n\n", STOP, DONE],
    "several data lines": [b'data: {"choices":\ndata: []}\n\n', STOP, DONE],
    "unknown events": [event(type="custom"), b"data: 5\n\n", b"data: null\n\n", STOP, DONE],
    "half a surrogate pair": [b'data: {"a":"\\ud83d"}\n\n', b'data: {"b":NaN}\n\n', STOP, DONE],
    "events after the finish reason": [delta(), STOP, event(choices=[{"index": 0, "delta": {}}])],
    "UTF-8": ["data: {\"a\": \"你好 😀 \u2028\"}\n\n".encode(), STOP, DONE],
    "spelling": [
        b'data: {"a" : 1.0e-7,\t"b":10000000000000000000000, "a":"\\u00e9"}\n\n', STOP, DONE
    ],
}


@rows("line_end", LINE_ENDS, ids=["LF", "CRLF", "CR"])
@rows("name", COMPLETE)
def test_a_complete_stream_passes_byte_for_byte_less_the_counts_event(
    name: str, line_end: bytes
) -> None:
    events = [one.replace(b"\n", line_end) for one in COMPLETE[name]]
    counts = USAGE.replace(b"\n", line_end)
    stream = b"".join(events)
    wanted = b"".join(one for one in events if one != counts)
    for pieces in whole_and_bytes(stream):
        relay = relay_of()
        assert relayed(pieces, relay) == wanted
        assert relay.error is None
    assert relayed([stream], relay_of(drops_usage=False)) == stream


@given(
    st.lists(
        st.sampled_from([delta(), USAGE, b": c\n", b": c\n\n", b"\n", delta("é")]), max_size=8
    ),
    st.sampled_from(LINE_ENDS),
    PLACES,
)
def test_the_counts_event_is_all_that_is_missing_at_random_splits(
    events: list[bytes], line_end: bytes, places: list[int]
) -> None:
    events = [one.replace(b"\n", line_end) for one in [*events, STOP, DONE]]
    counts = USAGE.replace(b"\n", line_end)
    wanted = b"".join(one for one in events if one != counts)
    assert relayed(cut(b"".join(events), places)) == wanted


@rows("line_end", LINE_ENDS, ids=["LF", "CRLF", "CR"])
def test_an_event_is_passed_on_with_its_last_byte(line_end: bytes) -> None:
    one = delta().replace(b"\n", line_end)
    relay = relay_of()
    at = len(one) - len(line_end) if line_end == b"\r\n" else len(one) - 1
    assert relay.feed(one[:at]) == b""
    assert relay.feed(one[at : at + 1]) == (one[:-1] if line_end == b"\r\n" else one)


def test_counts_are_kept_though_their_event_is_dropped() -> None:
    relay = relay_of()
    relay.feed(delta())
    assert relay.usage is None
    relay.feed(STOP + USAGE)
    assert relay.usage == Usage(7, 3)
    relay.finish()
    assert relay.usage == Usage(7, 3)


# Streams that are not complete: what the client still gets of them.
BROKEN: dict[str, tuple[list[bytes], list[bytes]]] = {
    "nothing came": ([], []),
    "only a comment": ([b": hi\n\n"], [b": hi\n\n"]),
    "content only": ([delta("a"), delta("b")], [delta("a"), delta("b")]),
    "one of two choices": ([delta(), delta(index=1), STOP], [delta(), delta(index=1), STOP]),
    "half an event": ([delta("a"), delta("b")[:20]], [delta("a")]),
    "half a comment": ([delta("a"), b": hal"], [delta("a"), b": hal\n\n"]),
    "an event without its last byte": ([delta("a")[:-1]], [delta("a")[:-1], b"\n\n"]),
    "an event without its empty line": ([delta("a")[:-2]], [delta("a")[:-2], b"\n\n"]),
    "half of [DONE]": ([delta("a"), b"data: [DON"], [delta("a")]),
    "empty finish reasons": ([delta(reason=""), delta(reason="")], [delta(reason="")] * 2),
    "counts but no end": ([delta(), USAGE], [delta()]),
}


@rows("name", BROKEN)
def test_a_stream_that_ends_too_early_ends_with_an_error(name: str) -> None:
    events, wanted = BROKEN[name]
    for pieces in whole_and_bytes(b"".join(events)):
        relay = relay_of()
        got = relayed(pieces, relay)
        error = last_error(got)
        assert error["code"] == "stream_interrupted"
        assert error["type"] == "upstream_error"
        assert error["message"] == f"{ACME} ended its stream too early"
        assert got[: got.index(b'data: {"error"')] == b"".join(wanted)
        assert isinstance(relay.error, UpstreamProtocolError)


@rows(
    "bad", [b"data: {\n\n", b"data: oops\n\n", b"data: [DONE\n\n", b"data: {}{}\n\n"]
)
def test_a_malformed_event_ends_the_stream_with_an_error(bad: bytes) -> None:
    stream = delta("a") + bad + delta("b") + STOP + DONE
    for pieces in whole_and_bytes(stream):
        relay = relay_of()
        got = relayed(pieces, relay)
        assert got.startswith(delta("a") + b'data: {"error"')
        assert last_error(got)["message"] == f"{ACME} sent an event that is not JSON"
        assert b'"b"' not in got
        assert isinstance(relay.error, UpstreamProtocolError)


def test_an_event_without_end_ends_the_stream_with_an_error() -> None:
    relay = relay_of()
    piece = b"x" * (1 << 20)
    got = relay.feed(delta("a") + b"data: ")
    fed = 0
    while relay.error is None:
        got += relay.feed(piece)
        fed += len(piece)
    assert fed == 16 << 20
    assert got.startswith(delta("a") + b'data: {"error"')
    assert len(got) < 1000
    assert last_error(got)["code"] == "stream_interrupted"
    assert relay.finish() == b""


def test_a_stream_that_breaks_off_says_why_in_its_last_event() -> None:
    relay = relay_of()
    got = relay.feed(delta("a") + delta("b")[:9]) + relay.abort(UpstreamProtocolError("it broke"))
    assert got.startswith(delta("a") + b"data: {")
    assert last_error(got)["message"] == "it broke"


def test_an_error_that_is_not_for_clients_is_not_shown_to_them() -> None:
    for error in (OSError("10.0.0.7 refused"), ClientDisconnected("gone")):
        relay = relay_of()
        got = relay.feed(delta()) + relay.abort(error)
        assert last_error(got)["message"] == "the stream broke off"
        assert relay.error is error


def test_nothing_follows_done_when_the_connection_breaks_after_it() -> None:
    relay = relay_of()
    assert relay.feed(delta() + STOP + DONE) == delta() + STOP + DONE
    assert relay.abort(UpstreamProtocolError("reset")) == b""


def test_a_break_between_the_finish_reason_and_done_is_told() -> None:
    relay = relay_of()
    assert last_error(relay.feed(STOP) + relay.abort(UpstreamProtocolError("reset")))


@rows(
    "body",
    [
        {"error": {"message": f"bad key {KEY}", "type": "auth", "param": None, "code": "x"}},
        {"error": f"bad key {KEY}"},
        {"choices": [{"index": 0, "finish_reason": "error"}], "error": {"message": KEY}},
        {"error": {"message": KEY}, "choices": "odd", "type": 1},
        {"type": "error", "message": KEY},
        {"type": "response.failed", "response": {"error": {"message": KEY}}},
    ],
)
def test_the_providers_own_error_event_is_passed_on_without_our_key(body: object) -> None:
    told = b"event: error\ndata: " + json.dumps(body).encode() + b"\n\n"
    for pieces in whole_and_bytes(delta("a") + told):
        relay = relay_of()
        assert relayed(pieces, relay) == delta("a") + told.replace(KEY.encode(), b"***")
        assert isinstance(relay.error, UpstreamProtocolError)
        assert KEY not in str(relay.error)


def compressed(coding: str, stream: bytes) -> bytes:
    return gzip.compress(stream, mtime=0) if coding == "gzip" else zlib.compress(stream)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_stream_is_relayed_decoded(coding: str) -> None:
    events = [delta("a"), STOP, USAGE, DONE]
    for pieces in whole_and_bytes(compressed(coding, b"".join(events))):
        assert relayed(pieces, relay_of(coding=coding)) == delta("a") + STOP + DONE


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_stream_that_cannot_be_read_ends_with_an_error(coding: str) -> None:
    relay = relay_of(coding=coding)
    error = last_error(relayed([b"\xff" * 40], relay))
    assert (
        error["message"]
        == f"{ACME} sent a stream that cannot be read: its compressed body is corrupt"
    )


def test_a_compressed_stream_that_is_cut_off_ends_with_an_error() -> None:
    packer = zlib.compressobj(wbits=31)
    body = packer.compress(delta("a")) + packer.flush(zlib.Z_SYNC_FLUSH) + packer.compress(STOP)
    got = relayed([body], relay_of(coding="gzip"))
    assert got.startswith(delta("a"))
    assert last_error(got)["code"] == "stream_interrupted"


def test_a_bomb_in_a_stream_ends_it_with_an_error() -> None:
    relay = relay_of(coding="gzip")
    got = relay.feed(gzip.compress(b"data: " + bytes(1 << 22)))
    assert "longer than" in str(last_error(got)["message"])
    assert len(got) < 1000


def test_what_the_fake_provider_streams_is_what_a_client_without_counts_sees() -> None:
    asked = chat_stream(["Hel", "lo"], usage=COUNTS, include_usage=True)
    got = relayed([b"".join(asked)])
    assert got == b"".join(asked[:-2] + asked[-1:])
