"""Secrets are found in what a provider says, however they are spelled there."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from urllib.parse import quote

import pytest

from llm_mesh_middleware._core.provider.secrets import Secrets
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import Failure, ResponseHead
from llm_mesh_middleware._core.values.summary import AnswerSummary
from llm_mesh_middleware.exceptions import UpstreamProtocolError
from tests.canaries import canary
from tests.rows import rows

KEY = canary("repeated")
ODD_KEY = 'n"k/e\\y+%41=0123456789&<x>'
KEYS = [KEY, ODD_KEY, "bnrt0123456789abcdef", "k" * 23 + "0"]


def in_every_way(key: str, rng: random.Random) -> str:
    """The key, each character in a spelling drawn by chance."""
    ways: list[Callable[[str], str]] = [
        lambda char: json.dumps(char)[1:-1],
        lambda char: f"\\u{ord(char):04x}",
        lambda char: f"\\u{ord(char):04X}",
        lambda char: f"%{ord(char):02x}",
        lambda char: f"%25{ord(char):02X}",
        lambda char: f"&#{ord(char)};",
        lambda char: f"&#x{ord(char):X};",
    ]
    return "".join(rng.choice(ways)(char) for char in key)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda key: key,
    "a JSON string": lambda key: json.dumps(key)[1:-1],
    "JSON with escaped slashes": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "JSON escapes": lambda key: "".join(f"\\u{ord(char):04x}" for char in key),
    "JSON in JSON": lambda key: json.dumps(json.dumps(key))[3:-3],
    "escapes in JSON in JSON": lambda key: "".join(f"\\\\u{ord(char):04X}" for char in key),
    "percent-encoded": lambda key: quote(key, safe=""),
    "percent-encoded twice": lambda key: quote(quote(key, safe=""), safe=""),
    "every character percent-encoded": lambda key: "".join(f"%{ord(char):02x}" for char in key),
    "character references": lambda key: "".join(f"&#{ord(char)};" for char in key),
    "behind Bearer": lambda key: f"Bearer {key}",
}


@rows("key", KEYS)
@rows("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_a_key_is_cut_out_in_every_spelling(key: str, spell: Callable[[str], str]) -> None:
    text = f'{{"error":"no {spell(key)}, {spell(key)}!"}}'
    bearer = "Bearer " if spell(key).startswith("Bearer ") else ""
    made = Secrets([key.encode()]).redact(text.encode())
    assert made.decode() == f'{{"error":"no {bearer}***, {bearer}***!"}}'


@rows("key", KEYS)
def test_a_key_of_mixed_spellings_is_cut_out(key: str) -> None:
    rng = random.Random(8)
    for _ in range(200):
        made = Secrets([key.encode()]).redact(f"<{in_every_way(key, rng)}>".encode())
        assert made == b"<***>"


@rows("key", KEYS)
@rows("before", ["", "a", "Bearer ", "user:", "key="])
@rows("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_key_within_base64_is_cut_out(
    key: str, before: str, encode: Callable[[bytes], bytes]
) -> None:
    data = encode(f"{before}{key} and more".encode())
    made = Secrets([key.encode()]).redact(b"x-echo: " + data)
    assert b"***" in made
    rest = made.removeprefix(b"x-echo: ").replace(b"***", b"")
    assert len(rest) <= len(data) - len(key) * 8 // 6 + 2


def test_an_error_of_json_stays_json_without_its_key() -> None:
    for backslashes in range(12):
        text = json.dumps({"error": "\\" * backslashes + ODD_KEY + "\\n"})
        made = Secrets([ODD_KEY.encode()]).redact(text.encode())
        assert "0123456789" not in json.loads(made)["error"]


@rows("key", ["ollama", "none", "x", "EMPTY", "sk-1234"])
def test_a_short_key_is_cut_out_only_behind_bearer(key: str) -> None:
    secrets = Secrets([key.encode()])
    plain = f'{{"error":"{key} is not {key}s, nor x{key}"}}'.encode()
    assert secrets.redact(plain) == plain
    assert secrets.redact_content(plain) == plain
    assert secrets.redact(f"no 'Bearer {key}' here".encode()) == b"no '***' here"
    assert secrets.redact(f"Bearer {key}-2".encode()) == f"Bearer {key}-2".encode()


@rows("key", ["anything", "not-needed", "lm-studio", "sk-no-key-required"])
def test_a_key_that_is_ordinary_text_stays_in_an_answer(key: str) -> None:
    text = f'{{"content":"write {key} there"}}'.encode()
    assert Secrets([key.encode()]).redact_content(text) is text
    assert key.encode() not in Secrets([key.encode()]).redact(text)


@rows(
    ("key", "is_found"),
    [("a" * 15 + "1", True), ("a" * 14 + "1", False), ("a" * 24, True), ("a" * 23, False)],
)
def test_a_key_is_searched_for_in_content_from_a_length_on(key: str, is_found: bool) -> None:
    text = f'{{"content":"{key}"}}'.encode()
    made = Secrets([key.encode()]).redact_content(text)
    assert made == (b'{"content":"***"}' if is_found else text)


@pytest.mark.parametrize(("key", "is_found"), [("a" * 8, True), ("a" * 7, False)])
def test_a_key_is_searched_for_in_facts_from_a_length_on(key: str, is_found: bool) -> None:
    made = Secrets([key.encode()]).redact_summary(AnswerSummary(model=f"m-{key}"))
    assert made.model == ("m-***" if is_found else f"m-{key}")


def test_a_configured_header_value_stays_in_an_answer_and_not_in_an_error() -> None:
    secrets = Secrets([KEY.encode()], [b"2023-06-01-a-version-0"])
    text = b"as of 2023-06-01-a-version-0"
    assert secrets.redact_content(text) is text
    assert secrets.redact(text) == b"as of ***"


@rows("spell", ["as it is", "JSON escapes", "a JSON string"])
def test_content_is_searched_for_keys(spell: str) -> None:
    for key in KEYS:
        data = f'data: {{"content":"{SPELLINGS[spell](key)}"}}\n\n'.encode()
        made = Secrets([key.encode()]).redact_content(data)
        assert made == b'data: {"content":"***"}\n\n'


@rows(
    "text", [b"", b"data: 50 % \\u00e9 \\u003cp\\u003e &amp; \\n\n\n", b"\xff\xfe\\", b"sk-canary-"]
)
def test_content_without_a_key_is_the_very_same_object(text: bytes) -> None:
    assert Secrets([KEY.encode()]).redact_content(text) is text


def head_of(*fields: tuple[str, str]) -> ResponseHead:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
    return ResponseHead(200, Headers(raw))


@rows("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_no_header_value_has_the_key(spell: Callable[[str], str]) -> None:
    head = head_of(("x-request-id", f"a-{spell(KEY)}-b"), ("cf-ray", "c"))
    made = Secrets([KEY.encode()]).redact_answer(head)
    assert isinstance(made, ResponseHead)
    assert made.headers.get("x-request-id") in ("a-***-b", "a-Bearer ***-b")
    assert made.headers.get("cf-ray") == "c"


def test_a_header_whose_name_has_the_key_is_dropped() -> None:
    head = head_of((f"x-ratelimit-{KEY.lower()}", "1"), ("cf-ray", "c"))
    made = Secrets([KEY.encode()]).redact_answer(head)
    assert isinstance(made, ResponseHead)
    assert list(made.headers) == [(b"cf-ray", b"c")]


@rows("value", ["c", "50%", "a\\b", "a&b", "\xe4"])
def test_a_head_without_a_key_is_the_very_same_object_or_equal(value: str) -> None:
    head = head_of(("cf-ray", value))
    assert Secrets([KEY.encode()]).redact_answer(head) is head
    assert Secrets().redact_answer(head) is head


def test_facts_for_observers_are_without_the_key() -> None:
    summary = AnswerSummary(
        id=KEY,
        model=f"m-{KEY}",
        system_fingerprint=KEY,
        service_tier=KEY,
        finish_reasons=("stop", KEY, None),
        body=b'{"id":"%b"}' % KEY.encode(),
    )
    assert Secrets([KEY.encode()]).redact_summary(summary) == AnswerSummary(
        id="***",
        model="m-***",
        system_fingerprint="***",
        service_tier="***",
        finish_reasons=("stop", "***", None),
        body=b'{"id":"***"}',
    )


def test_facts_without_a_key_are_the_very_same_object() -> None:
    summary = AnswerSummary(id="a", model="m", finish_reasons=("stop",), body=b"{}")
    assert Secrets([KEY.encode()]).redact_summary(summary) is summary


def test_the_message_of_an_error_is_without_the_key() -> None:
    error = UpstreamProtocolError(f"acme.example said {KEY}")
    assert Secrets([KEY.encode()]).redact_answer(Failure(error)) == Failure(error)
    assert (str(error), error.message) == ("acme.example said ***", "acme.example said ***")


def test_a_repr_shows_no_secret() -> None:
    assert repr(Secrets([KEY.encode()], [b"another-one"])) == "<2 secrets>"
