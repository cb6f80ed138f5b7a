"""A provider's own error: passed on as it is, in JSON, without our key."""

from __future__ import annotations

import json

import pytest

from tests.canaries import canary
from tests.core.scripted import JSON, answers, play
from tests.core.tables import ACME, provider, request, table
from tests.rows import rows

KEY, OWN_TOKEN = canary("error answers"), canary("own token")
ROUTES = table(provider(openai=f"{{apiKey: {KEY}, headers: {{x-token: {OWN_TOKEN}, x-org: org}}}}"))
STATUSES = (400, 401, 403, 404, 408, 409, 422, 429, 500, 503, 529)
HTML = "content-type: text/html"


def answer(
    status: int, body: bytes, *fields: str, asked: str = "{}"
) -> tuple[int, dict[bytes, bytes], bytes]:
    """What the client gets of an error."""
    reply = play(ROUTES, request(body=asked), *answers(status, body, *fields), host=ACME).reply
    assert reply is not None
    assert not reply.is_stream
    headers = dict(reply.headers)
    assert len(headers) == len(reply.headers)
    assert headers[b"content-length"] == b"%d" % len(reply.body)
    return reply.status, headers, reply.body


UNCHANGED = [
    b'{"error":{"message":"no","type":"t","param":null,"code":"c"}}',
    b'{ "error" : "just text" ,\r\n "x": 1e2 }\n',
    b'{"error":{"message":"\\u4f60 \\/ \xe4\xbd\xa0"}}',
    b'{"code":"InvalidApiKey","message":"no","request_id":"r"}',
    b"{}",
    b"[]",
    b'{"id":"x","choices":[]}',
    b'{"message":"lone \\ud83d","limit":NaN}',
]


@rows("status", STATUSES)
@rows("asked", ["{}", '{"stream": true}'])
def test_an_error_keeps_status_body_and_fields(status: int, asked: str) -> None:
    for body in UNCHANGED:
        got = answer(status, body, JSON, "retry-after: 7", "x-ratelimit-reset: 1s", asked=asked)
        assert (got[0], got[2]) == (status, body)
        assert got[1][b"content-type"] == b"application/json"
        assert (got[1][b"retry-after"], got[1][b"x-ratelimit-reset"]) == (b"7", b"1s")


def told(reason: str) -> dict[str, object]:
    """The members that tell an SDK the reason."""
    members = {"message": reason, "type": "upstream_error", "param": None, "code": "upstream_error"}
    return {"error": members}


GEMINI = {"error": {"code": 400, "message": "Cannot find field.", "status": "INVALID_ARGUMENT"}}


@rows(
    ("body", "made"),
    [
        ([GEMINI], GEMINI),
        ("quota exceeded", told("quota exceeded")),
        (["bad", "worse"], told('["bad","worse"]')),
        ({"detail": "Not Found"}, {"detail": "Not Found", **told("Not Found")}),
        (
            {"detail": [{"msg": "field required"}], "x": 1},
            {"detail": [{"msg": "field required"}], "x": 1, **told('[{"msg":"field required"}]')},
        ),
        (
            {"title": "Too long", "status": 400},
            {"title": "Too long", "status": 400, **told("Too long")},
        ),
        ("x" * 9999, told("x" * 500)),
    ],
    ids=lambda value: repr(value)[:30],
)
@rows("asked", ["{}", '{"stream": true}'])
def test_a_reason_is_put_where_sdks_look_for_it(body: object, made: object, asked: str) -> None:
    status, headers, got = answer(400, json.dumps(body).encode(), JSON, asked=asked)
    assert (status, json.loads(got)) == (400, made)
    assert headers[b"content-type"] == b"application/json"


@pytest.mark.parametrize("body", [b'{"id":"x","choices":null}', b'{"choices" : null}'])
def test_a_completion_without_choices_is_no_success(body: bytes) -> None:
    error = play(ROUTES, request(), *answers(200, body, JSON), host=ACME).error
    assert error is not None
    assert getattr(error, "status", None) == 502


@rows(
    "body",
    [
        b'{"id":"x","choices":[]}',
        b'{"data":[{"embedding":[1]}]}',
        b'{"choices":null,"output":[]}',
        b'{"text":"the \\"choices\\" that we have"}',
    ],
)
def test_what_is_no_completion_needs_no_choices(body: bytes) -> None:
    assert answer(200, body, JSON)[2] == body


@rows(
    ("body", "field"),
    [
        (b"", HTML),
        (b"", JSON),
        (b"<html><h1>502 Bad Gateway</h1> 10.1.2.3</html>", HTML),
        (b" \r\n", "content-type: text/plain"),
        (b"\xff\xfe", "content-type: application/octet-stream"),
    ],
    ids=lambda value: repr(value[:24]),
)
@rows("status", [404, 429, 502])
@rows("asked", ["{}", '{"stream": true}'])
def test_an_error_that_says_nothing_becomes_an_error_object(
    body: bytes, field: str, status: int, asked: str
) -> None:
    got, headers, made = answer(status, body, field, "retry-after: 7", asked=asked)
    assert got == status
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"retry-after"] == b"7"
    assert json.loads(made) == {
        "error": {
            "message": f"{ACME} answered {status} without an error object",
            "type": "upstream_error",
            "param": None,
            "code": "upstream_error",
        }
    }


@rows(
    ("body", "shown"),
    [
        (b"model overloaded, try again", "model overloaded, try again"),
        (b" two\r\nlines\t", "two  lines"),
        (b'{"error": {"message": "half', '{"error": {"message": "half'),
        (b"x" * 9999, "x" * 500),
        (b"[" * 100_000, "[" * 500),
        (f"bad key {KEY}".encode(), "bad key ***"),
        (b"x" * 490 + KEY.encode(), "x" * 490 + "***"),
    ],
    ids=lambda value: repr(value[:24]),
)
@rows("field", [JSON, "content-type: text/plain", HTML])
def test_the_text_of_an_error_is_the_message_of_an_error_object(
    body: bytes, shown: str, field: str
) -> None:
    made = json.loads(answer(429, body, field)[2])
    assert made["error"]["message"] == f"{ACME} answered 429: {shown}"


@rows(
    ("body", "made"),
    [
        (b'data: {"error": {}}\n\n', b'{"error": {}}'),
        (
            b': hold on\n\ndata: {"error":{"message":"m"}}\n\ndata: [DONE]\n\n',
            b'{"error":{"message":"m"}}',
        ),
        (
            b'id:1\nevent:error\n:HTTP_STATUS/400\ndata:{"code":"C","message":"m"}',
            b'{"code":"C","message":"m"}',
        ),
    ],
)
@rows("field", [JSON, "content-type: text/event-stream"])
def test_the_first_event_of_an_error_is_its_body(body: bytes, made: bytes, field: str) -> None:
    assert answer(400, body, field)[2] == made


@rows("secret", [KEY, OWN_TOKEN])
@rows("status", STATUSES)
def test_an_error_that_repeats_a_secret_has_it_removed(status: int, secret: str) -> None:
    body = f'{{"error":{{"message":"bad key {secret}, {secret}!","code":"{secret}"}}}}'
    _, headers, made = answer(
        status, body.encode(), JSON, f"x-request-id: Bearer {secret}", "cf-ray: c"
    )
    assert made == b'{"error":{"message":"bad key ***, ***!","code":"***"}}'
    assert headers[b"x-request-id"] == b"Bearer ***"
    assert headers[b"cf-ray"] == b"c"
    assert secret.encode() not in b"".join(headers.values()) + made


def test_a_short_configured_value_is_a_word_and_not_cut_out() -> None:
    body = b'{"error":{"message":"the org of this key"}}'
    assert answer(403, body, JSON)[2] == body


def test_an_error_page_that_repeats_the_key_is_replaced_with_it() -> None:
    _, headers, made = answer(401, f"<p>{KEY}</p>".encode(), HTML, f"x-request-id: {KEY}")
    assert KEY.encode() not in made
    assert headers[b"x-request-id"] == b"***"
