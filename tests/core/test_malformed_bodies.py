"""Bodies that are not one JSON object in UTF-8: refused at once, whatever they try."""

from __future__ import annotations

import json
import time

import pytest

from llm_mesh_middleware._core.values.messages import error_object
from llm_mesh_middleware.exceptions import InvalidJSON
from tests.core.scripted import play, sent
from tests.core.tables import ACME, provider, request, table
from tests.rows import rows

DEEP, DIGITS = b"[" * 100_000, b"9" * 5000

MALFORMED = {
    # not an object
    "array": b'[{"model": "m"}]',
    "string": b'"{}"',
    "number": b"5",
    "true": b"true",
    "null": b"null",
    "integer of 5,000 digits": DIGITS,
    # nothing
    "empty": b"",
    "white space": b" \t\r\n ",
    # too much
    "100,000 brackets": DEEP,
    "100,000 brackets in a member": b'{"a":' + DEEP,
    "100,000 pairs of brackets": DEEP + b"]" * 100_000,
    "100,000 pairs of brackets in a member": b'{"a":' + DEEP + b"]" * 100_000 + b"}",
    "100,000 objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "100,000 open objects": b'{"a":' * 100_000,
    "integer of 5,000 digits in a member": b'{"seed":' + DIGITS + b"}",
    "negative integer of 5,000 digits in a member": b'{"seed": -' + DIGITS + b"}",
    "fraction of 5,000 digits in a member": b'{"seed":0.' + DIGITS + b"}",
    # not UTF-8
    "invalid UTF-8 in a key": b'{"\xff":1}',
    "invalid UTF-8 in a value": b'{"a":"\xc3("}',
    "half a character at the end": b'{"a":"\xe4\xbd"}',
    "overlong UTF-8": b'{"a":"\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"a":"\xed\xa0\xbd"}',
    "invalid UTF-8 behind the object": b'{"a":1}\xff',
    "half a surrogate pair in a key": rb'{"\ud83d":1}',
    "two byte order marks": b'\xef\xbb\xbf\xef\xbb\xbf{"a":1}',
    "10 MB that msgspec refuses": b'{"a":NaN,"b":"' + b"x" * 10_000_000 + b'"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    # not JSON
    "open object": b'{"a":1',
    "half a key": b'{"a',
    "half a literal": b'{"a":tru}',
    "no value": b'{"a":}',
    "no colon": b'{"a" 1}',
    "no comma": b'{"a":1 "b":2}',
    "trailing comma": b'{"a":1,}',
    "trailing comma within": b'{"a":[1,]}',
    "trailing garbage": b'{"a":1} x',
    "a second object": b'{"a":1}{"b":2}',
    "NUL behind the object": b'{"a":1}\x00',
    "key without quotes": b"{a:1}",
    "single quotes": b"{'a':1}",
    "a number for a key": b"{1:1}",
    "comment": b'{"a":1 /* x */}',
    "NaN in lower case": b'{"a":nan}',
    "NaN for a body": b"NaN",
    "leading zero": b'{"a":01}',
    "plus sign": b'{"a":+1}',
    "bare fraction": b'{"a":.5}',
    "half a fraction": b'{"a":1.}',
    "half an exponent": b'{"a":1e}',
    "hexadecimal": b'{"a":0x10}',
    "control character in a string": b'{"a":"\x01"}',
    "line break in a string": b'{"a":"\n"}',
    "unknown escape": rb'{"a":"\x41"}',
    "half an escape": rb'{"a":"\u12"}',
    "a form": b"model=m&stream=true",
    "HTML": b"<html></html>",
}


@rows("body", MALFORMED.values(), ids=MALFORMED)
@rows("path", ["/", "/v1/embeddings"])
def test_a_malformed_body_is_refused_soon(body: bytes, path: str) -> None:
    routes = table(provider(openai="{model: m}"))
    began = time.perf_counter()
    performed = play(routes, request(path=path, body=body), host=ACME)
    assert time.perf_counter() - began < 5
    error = performed.error
    assert isinstance(error, InvalidJSON)
    assert (error.status, error.type, error.code) == (400, "invalid_request_error", "invalid_json")
    assert 10 < len(error.message) < 200
    assert performed.taken == []


@rows(
    ("body", "words"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"[]", "not an object"),
        (b'{"a":"\xff"}', "not UTF-8 (byte 6)"),
        (b'{"a":1,}', "trailing comma"),
        (DEEP, "not an object"),
        (b'{"a":' + DEEP, "nested too deeply"),
    ],
)
def test_the_error_says_what_is_wrong_with_the_body(body: bytes, words: str) -> None:
    error = play(table(provider()), request(body=body), host=ACME).error
    assert words in str(error)


def test_a_number_that_is_too_long_is_named_by_its_member() -> None:
    body = b'{"%s":%s}' % (b"seed" * 100, DIGITS)
    error = play(table(provider()), request(body=body), host=ACME).error
    assert isinstance(error, InvalidJSON)
    assert error.param == ("seed" * 100)[:64]
    shown = error_object(error.message, type=error.type, code=error.code, param=error.param)
    assert len(shown) < 400


def test_a_long_string_of_digits_is_not_taken_for_a_number() -> None:
    body = b'{"a":"' + DIGITS + b'"}'
    assert play(table(provider()), request(body=body), host=ACME).error is None


ODD = {
    "half a surrogate pair": rb'{"a":"cut \ud83d here","model":"x"}',
    "halves in the wrong order": rb'{"a":["\ude00\ud83d"],"model":"x"}',
    "NaN": b'{"a":NaN,"model":"x"}',
    "NaN within": b'{"a":[ NaN,\t-Infinity],"model":"x"}',
    "Infinity": b'{"a":{"b" : Infinity},"model":"x"}',
}


@rows("body", ODD.values(), ids=ODD)
@rows("path", ["/v1/chat/completions", "/v1/embeddings", "/v1/responses"])
def test_what_python_reads_as_json_is_left_to_the_provider(body: bytes, path: str) -> None:
    request_sent = sent(table(provider()), request(path=path, body=body), host=ACME)
    assert (request_sent.body, request_sent.model) == (body, "x")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings"])
def test_a_byte_order_mark_is_skipped(path: str) -> None:
    body = b'\xef\xbb\xbf{"a":1}'
    assert sent(table(provider()), request(path=path, body=body), host=ACME).body == b'{"a":1}'


def test_an_error_object_has_all_four_members() -> None:
    made = error_object('a "b"\r\n', type="t", code="c")
    assert json.loads(made) == {
        "error": {"message": 'a "b"\r\n', "type": "t", "param": None, "code": "c"}
    }
