"""What the OpenAI SDK reads through the mesh is what it reads without it, whatever providers send.

Every quirk, alone and with every other, in three ways of cutting the bytes; the ordinary run takes
a sample of the pairs. Each is passed on in its own form, and converted to the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.corpus import json_quirks, reading, stream_quirks
from tests.corpus.bench import ASKED, Bench, direct, plain, sdk
from tests.corpus.judging import check_record, each, judge_all
from tests.corpus.responses import Case, Json, Meaning, cases, chunks, completion


def read_chunks(client: Any, **more: Any) -> list[Json | None]:
    stream = client.chat.completions.create(**ASKED, stream=True, **more)
    return [chunk and chunk.to_dict(warnings=False) for chunk in stream]


def read_completion(client: Any) -> Json:
    return dict(client.chat.completions.create(**ASKED).to_dict(warnings=False))


def is_usage_only(chunk: Json | None) -> bool:
    return chunk is not None and chunk.get("choices") == [] and bool(chunk.get("usage"))


# What every chunk repeats: an event with nothing else but counts is spared a client.
REPEATED = {"id", "object", "created", "model", "system_fingerprint", "service_tier", "choices"}
COUNTS = {"usage", "x_groq"}
NOTHING: tuple[Any, ...] = (None, "", [], {})


def spared(chunks: Iterable[Json | None]) -> Iterator[Json | None]:
    """The chunks for a client that did not ask for counts."""
    for chunk in chunks:
        if chunk is None or not is_usage_only(chunk):
            yield chunk
            continue
        rest = {name: value for name, value in chunk.items() if name not in COUNTS}
        if any(rest[name] not in NOTHING for name in rest.keys() - REPEATED - {"error"}):
            yield rest


# The SDK reads data that is no JSON here, with and without a mesh.
UNREADABLE = ("data in many lines + byte order mark ", "comments between + retry and id ")


def said(meaning: Meaning) -> str:
    """The meaning but for its counts, which nothing that a client reads has."""
    return plain(vars(replace(meaning, counts=None)))


@each(stream_quirks.QUIRKS)
def test_a_stream_is_read_the_same_and_its_tokens_are_counted_once(
    bench: Bench, quirk: str, every: int
) -> None:
    def judge(case: Case) -> None:
        with direct(case) as client:
            if case.name.startswith(UNREADABLE):
                with pytest.raises(json.JSONDecodeError):
                    read_chunks(sdk("any", client))
                return
            expected = read_chunks(sdk("any", client))
        # A client that did not ask for counts is spared the event that has nothing else.
        asks = len(case.name) % 2 == 0
        options = {"stream_options": {"include_usage": True}} if asks else {}
        bench.send(case)
        read = read_chunks(bench.openai("any"), **options)
        if not asks:
            expected = [*spared(expected)]
        assert [*map(plain, read)] == [*map(plain, expected)]
        check_record(bench, case)

    judge_all(cases(chunks(), stream_quirks.QUIRKS, quirk, every=every), judge)


@each(stream_quirks.QUIRKS)
def test_a_stream_becomes_the_completion_that_it_means(
    bench: Bench, quirk: str, every: int
) -> None:
    def judge(case: Case) -> None:
        bench.send(case)
        read = read_completion(bench.openai("events"))
        assert said(reading.of_completion(read)) == said(case.response.means)
        assert (read["object"], read["created"]) == ("chat.completion", 1_700_000_000)
        check_record(bench, case)

    judge_all(cases(chunks(), stream_quirks.QUIRKS, quirk, every=every), judge)


@each(json_quirks.QUIRKS)
def test_a_completion_is_read_the_same_and_its_tokens_are_counted_once(
    bench: Bench, quirk: str, every: int
) -> None:
    def judge(case: Case) -> None:
        with direct(case) as client:
            expected = read_completion(sdk("any", client))
        assert said(reading.of_completion(expected)) == said(case.response.means)
        bench.send(case)
        read = read_completion(bench.openai("any"))
        assert plain(read) == plain(expected)
        check_record(bench, case)

    judge_all(cases(completion(), json_quirks.QUIRKS, quirk, every=every), judge)


@each(json_quirks.QUIRKS)
def test_a_completion_becomes_the_stream_that_it_means(
    bench: Bench, quirk: str, every: int
) -> None:
    def judge(case: Case) -> None:
        bench.send(case)
        read = read_chunks(bench.openai("json"), stream_options={"include_usage": True})
        parts = [chunk for chunk in read if chunk is not None]
        means = case.response.means
        assert said(reading.of_chunks(parts)) == said(means)
        assert {chunk["object"] for chunk in parts} == {"chat.completion.chunk"}
        assert all(chunk["choices"] for chunk in parts[:-1])
        assert is_usage_only(parts[-1]) is (means.usage is not None)
        check_record(bench, case)

    judge_all(cases(completion(), json_quirks.QUIRKS, quirk, every=every), judge)
