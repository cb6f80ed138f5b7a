"""What Anthropic's SDK reads through the mesh is what it reads without it."""

from __future__ import annotations

import importlib
from typing import Any

import httpx2
import pytest

from tests.corpus.bench import ASKED, Bench, direct, plain
from tests.corpus.judging import check_record, each, judge_all
from tests.corpus.message_quirks import MESSAGE_QUIRKS, STREAM_QUIRKS, message, message_stream
from tests.corpus.responses import Case, cases


@pytest.fixture(scope="module")
def anthropic() -> Any:
    """Loaded when it is asked for, as that takes a second."""
    return importlib.import_module("anthropic")


def messages(anthropic: Any, client: httpx2.Client) -> Any:
    options = {"base_url": "http://any.example", "api_key": "none", "max_retries": 0}
    return anthropic.Anthropic(**options, http_client=client).messages


@each(STREAM_QUIRKS)
def test_a_stream_is_read_the_same_and_its_tokens_are_counted_once(
    anthropic: Any, bench: Bench, quirk: str, every: int
) -> None:
    def read(client: httpx2.Client) -> list[str]:
        stream = messages(anthropic, client).create(**ASKED, max_tokens=9, stream=True)
        return [plain(event.to_dict(warnings=False)) for event in stream]

    def judge(case: Case) -> None:
        with direct(case) as client:
            expected = read(client)
        bench.send(case)
        assert read(bench.client) == expected
        check_record(bench, case)

    judge_all(cases(message_stream(), STREAM_QUIRKS, quirk, every=every), judge)


@each(MESSAGE_QUIRKS)
def test_a_message_is_read_the_same_and_its_tokens_are_counted_once(
    anthropic: Any, bench: Bench, quirk: str, every: int
) -> None:
    def read(client: httpx2.Client) -> str:
        made = messages(anthropic, client).create(**ASKED, max_tokens=9)
        return plain(made.to_dict(warnings=False))

    def judge(case: Case) -> None:
        with direct(case) as client:
            expected = read(client)
        bench.send(case)
        assert read(bench.client) == expected
        check_record(bench, case)

    judge_all(cases(message(), MESSAGE_QUIRKS, quirk, every=every), judge)
