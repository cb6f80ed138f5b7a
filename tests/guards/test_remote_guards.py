"""Streams that are asked about: when, with which texts, and what is passed on after a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from llm_mesh_middleware._core.guarding.finding import Finding
from llm_mesh_middleware._core.guarding.guard import Guard
from llm_mesh_middleware._core.guarding.remote.stream import RemoteGuardStream
from llm_mesh_middleware._core.guarding.remote.verdict import RemoteGuard, Verdict
from llm_mesh_middleware._core.guarding.remote.verdict_findings import VerdictFindings
from llm_mesh_middleware._core.guarding.window import Inspection
from llm_mesh_middleware.exceptions import ContentBlocked
from tests.guards.forms import FORMS, cut, text_of
from tests.rows import rows

NAME = "Anna Meier"
WINDOW, OVERLAP = 60, 20


class GuardedStream:
    """A stream under a remote guard, which finds a name in it."""

    def __init__(self, form: str, *, action: str = "mask", window: int | None = WINDOW) -> None:
        guard = Guard(
            policy="default/p",
            name="g",
            scanner=VerdictFindings(),
            action=action,  # type: ignore[arg-type]
            sides=frozenset(("response",)),
        )
        remote = RemoteGuard(
            guard=guard,
            inspector=None,  # type: ignore[arg-type]  # nobody but `answer` asks here
            timeout_s=1.0,
            window=window,
            overlap=OVERLAP,
        )
        inspection = Inspection((), lambda *_: None, lambda _, entity, value: f"[{entity}]")
        self.stream = RemoteGuardStream(FORMS[form][0].texts, inspection, remote)
        self.questions: list[list[str]] = []

    def pass_on(self, events: Sequence[bytes]) -> list[bytes]:
        """Return what is passed on after each event, and after the end."""
        out = list(map(self.pass_on_one, events))
        return [*out, self.stream.finish() + self._answer()]

    def pass_on_one(self, event: bytes) -> bytes:
        """Return what is passed on after an event."""
        return self.stream.feed(event) + self._answer()

    def _answer(self) -> bytes:
        passed = b""
        while held := self.stream.question():
            texts = list(dict.fromkeys(each.undecided for each in held))
            self.questions.append(texts)
            found = {
                number: [Finding(at, at + len(NAME), "PERSON")]
                for number, text in enumerate(texts)
                if (at := text.find(NAME)) >= 0
            }
            passed += self.stream.answer(held, Verdict(found), texts)
        return passed


@rows("form", FORMS)
def test_events_without_a_finding_keep_their_bytes(form: str) -> None:
    events = FORMS[form][1](cut("It is five o'clock. " * 20, Random(form)))

    assert b"".join(GuardedStream(form).pass_on(events)) == b"".join(events)


@rows("form", FORMS)
def test_a_name_is_masked_wherever_it_stands_and_is_split(form: str) -> None:
    random, make = Random(form), FORMS[form][1]
    for before in range(0, 90, 7):
        text = "x" * before + f" {NAME} " + "y" * 70
        events = make(cut(text, random))
        stream = GuardedStream(form)
        out = b"".join(stream.pass_on(events))

        assert NAME not in text_of(out)
        assert text_of(out).replace("[PERSON]", NAME) == text_of(b"".join(events))
        assert out.count(b"\n\n") == len(events)


@rows("form", ["chat", "anthropic", "arguments"])
def test_what_is_held_back_is_bounded(form: str) -> None:
    events = FORMS[form][1](["abcd "] * 200)
    stream = GuardedStream(form)
    held = 0
    for event, passed in zip(events, stream.pass_on(events), strict=False):
        held += len(event) - len(passed)
        assert held <= (WINDOW + OVERLAP + 10) // 5 * max(map(len, events))
    longest = max(len(text) for texts in stream.questions for text in texts)

    assert longest <= WINDOW + OVERLAP + 5
    assert len(stream.questions) > 10


@rows("form", FORMS)
def test_without_a_window_the_whole_text_is_asked_about_at_its_end(form: str) -> None:
    stream = GuardedStream(form, window=None)
    stream.pass_on(FORMS[form][1](["abcd "] * 200))

    assert max(len(text) for text in stream.questions[0]) >= 1000
    assert len(stream.questions) <= 2


def test_a_repeated_text_is_asked_about_once() -> None:
    stream = GuardedStream("responses")
    stream.pass_on(FORMS["responses"][1](["Hello ", "you"]))

    assert stream.questions == [["Hello you"]]


def test_a_denied_name_is_never_sent() -> None:
    stream = GuardedStream("chat", action="deny")
    events = FORMS["chat"][1]([*["before "] * 30, NAME[:4], NAME[4:], " after"])
    passed: list[bytes] = []
    with pytest.raises(ContentBlocked):
        passed += map(stream.pass_on_one, events)

    assert "before" in text_of(b"".join(passed))
    assert NAME[:4] not in text_of(b"".join(passed))


def test_an_event_that_is_not_json_is_asked_about() -> None:
    events = [f"data: {NAME}\n\n".encode()]
    with pytest.raises(ContentBlocked):
        GuardedStream("chat").pass_on(events)
    fine = [b"data: fine\n\n"]

    assert b"".join(GuardedStream("chat").pass_on(fine)) == fine[0]
