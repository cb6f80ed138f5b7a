"""Which members of a request body the configuration sets, and which it leaves to the client."""

from __future__ import annotations

import pytest

from tests.core.scripted import sent
from tests.core.tables import ACME, provider, request, route, table
from tests.dialects.members import members
from tests.rows import rows

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
EMBEDDINGS, RESPONSES = "/v1/embeddings", "/v1/responses"

NONE, MODEL = "{}", "{model: configured}"
MAPPING = "{modelMapping: {gpt-4o: acme-large, '': acme-empty}}"

# The provider's openAIConfig, the backendRef's model, the body's, the one sent.
MODELS = [
    (NONE, None, None, None),
    (NONE, None, '"asked"', '"asked"'),
    (NONE, None, "null", "null"),
    (NONE, None, "5", "5"),
    (NONE, None, r'"\u0061sked"', r'"\u0061sked"'),
    (NONE, "ours", None, '"ours"'),
    (NONE, "ours", '"asked"', '"ours"'),
    (MODEL, None, None, '"configured"'),
    (MODEL, None, '"asked"', '"configured"'),
    (MODEL, None, "null", '"configured"'),
    (MODEL, None, '["asked"]', '"configured"'),
    (MODEL, None, '"configured"', '"configured"'),
    (MODEL, "ours", None, '"ours"'),
    (MODEL, "ours", '"asked"', '"ours"'),
    (MAPPING, None, None, None),
    (MAPPING, None, '"asked"', '"asked"'),
    (MAPPING, None, '"gpt-4o"', '"acme-large"'),
    (MAPPING, None, r'"gpt\u002d4o"', '"acme-large"'),
    (MAPPING, None, '"GPT-4o"', '"GPT-4o"'),
    (MAPPING, None, '"gpt-4o-mini"', '"gpt-4o-mini"'),
    (MAPPING, None, '"acme-large"', '"acme-large"'),
    (MAPPING, None, '""', '"acme-empty"'),
    (MAPPING, None, "null", "null"),
    (MAPPING, "ours", '"gpt-4o"', '"ours"'),
    ("{defaults: {model: usual}}", None, None, '"usual"'),
    ("{defaults: {model: usual}}", None, '"asked"', '"asked"'),
    ("{model: configured, defaults: {model: usual}}", None, None, '"configured"'),
]


def body_of(openai: str, body: str, *, path: str = CHAT, ref_model: str | None = None) -> bytes:
    model = "" if ref_model is None else f", model: {ref_model}"
    rules = f"- backendRefs: [{{providerHost: {ACME}{model}}}]"
    return sent(table(provider(openai=openai), route(rules)), request(path=path, body=body)).body


@rows(("openai", "ref_model", "asked", "wanted"), MODELS)
def test_the_model_is_the_backends_or_the_providers_or_the_clients(
    openai: str, ref_model: str | None, asked: str | None, wanted: str | None
) -> None:
    body = "{}" if asked is None else f'{{"model": {asked}}}'
    for path in (CHAT, COMPLETIONS, RESPONSES):
        sent_members = members(body_of(openai, body, path=path, ref_model=ref_model))
        assert sent_members.get("model") == wanted


@rows("ref_model", [None, "ours"])
@rows(
    ("openai", "asked", "wanted"),
    [
        (MODEL, '{"model": "embed-1", "input": "x"}', '{"model":"embed-1","input":"x"}'),
        (MODEL, '{"input": "x"}', '{"input":"x"}'),
        (MAPPING, '{"model": "gpt-4o"}', '{"model":"acme-large"}'),
        ("{stream: true, defaults: {top_p: 1}}", '{"input": "x"}', '{"input":"x"}'),
    ],
)
def test_embeddings_keep_the_clients_model_and_members(
    openai: str, asked: str, wanted: str, ref_model: str | None
) -> None:
    assert body_of(openai, asked, path=EMBEDDINGS, ref_model=ref_model).decode() == wanted


# The configured stream, the client's, the one sent.
STREAMS = [
    (None, None, None),
    (None, "true", "true"),
    (None, "false", "false"),
    (None, "null", "null"),
    ("true", None, "true"),
    ("true", "true", "true"),
    ("true", "false", "true"),
    ("false", None, "false"),
    ("false", "true", "false"),
    ("false", "false", "false"),
    ("false", "null", "false"),
    ("false", '"yes"', "false"),
]


@rows(("configured", "asked", "wanted"), STREAMS)
@rows("path", [CHAT, COMPLETIONS])
def test_the_configured_stream_goes_before_the_clients(
    configured: str | None, asked: str | None, wanted: str | None, path: str
) -> None:
    openai = NONE if configured is None else f"{{stream: {configured}}}"
    body = "{}" if asked is None else f'{{"stream": {asked}}}'
    assert members(body_of(openai, body, path=path)).get("stream") == wanted


@pytest.mark.parametrize("asked", ["true", "false"])
def test_an_operation_without_two_forms_keeps_the_clients_stream(asked: str) -> None:
    configured = "false" if asked == "true" else "true"
    body = body_of(f"{{stream: {configured}}}", f'{{"stream": {asked}}}', path=RESPONSES)
    assert body == b'{"stream":%s}' % asked.encode()


# openAIConfig, the client's members, the stream_options sent.
USAGES = [
    (NONE, '"stream": true', '{"include_usage":true}'),
    (NONE, '"stream": true, "stream_options": {}', '{"include_usage":true}'),
    (NONE, '"stream": true, "stream_options": null', '{"include_usage":true}'),
    (NONE, '"stream": true, "stream_options": {"x": 1e2}', '{"x":1e2,"include_usage":true}'),
    (NONE, '"stream": true, "stream_options": {"include_usage": false}', '{"include_usage":true}'),
    (
        NONE,
        '"stream": true, "stream_options": { "include_usage" : true }',
        '{ "include_usage" : true }',
    ),
    ("{stream: true}", '"n": 1', '{"include_usage":true}'),
    (NONE, '"n": 1', None),
    (NONE, '"stream": false', None),
    (NONE, '"stream": false, "stream_options": {"x": 1}', '{"x": 1}'),
    ("{stream: false}", '"stream": true, "stream_options": {"include_usage": true}', None),
    ("{streamUsage: false}", '"stream": true', None),
    ("{streamUsage: false}", '"stream": true, "stream_options": {"x": 1}', '{"x": 1}'),
    (
        "{streamUsage: false}",
        '"stream": true, "stream_options": {"include_usage": true}',
        '{"include_usage": true}',
    ),
]


@rows(("openai", "asked", "wanted"), USAGES)
def test_token_counts_are_asked_for_where_a_stream_would_bring_them(
    openai: str, asked: str, wanted: str | None
) -> None:
    assert members(body_of(openai, f"{{{asked}}}")).get("stream_options") == wanted


DEFAULTS = "{defaults: {temperature: 0.2, stop: [a], user: null, metadata: {a: 1}}}"
FILLED = {"temperature": "0.2", "stop": '["a"]', "user": "null", "metadata": '{"a":1}'}


@rows(
    ("asked", "changed"),
    [
        ("{}", {}),
        ('{"temperature": 1}', {"temperature": "1"}),
        ('{"temperature": 0.20}', {"temperature": "0.20"}),
        ('{"temperature": null}', {"temperature": "null"}),
        ('{"metadata": {}}', {"metadata": "{}"}),
        ('{"stop": []}', {"stop": "[]"}),
        ('{"Temperature": 1, "TOP_P": 1}', {"TOP_P": "1"}),
        ('{"n": 1}', {"n": "1"}),
    ],
)
def test_defaults_are_set_where_the_request_is_silent(asked: str, changed: dict[str, str]) -> None:
    for path in (CHAT, COMPLETIONS, RESPONSES):
        assert members(body_of(DEFAULTS, asked, path=path)) == FILLED | changed


@rows(
    "asked",
    [
        '{"MODEL": "twin", "n": 1}',
        '{"Model": "twin", "model": "own", "n": 1}',
        '{"mo\u0064eL": "twin", "n": 1, "ſtream": true, "\u017fTREAM_options": {}}',
        '{"STREAM": true, "Stream_Options": {"include_usage": true}, "n": 1}',
    ],
)
@rows("path", [CHAT, COMPLETIONS, RESPONSES])
def test_a_member_that_differs_from_a_configured_one_only_in_case_is_dropped(
    asked: str, path: str
) -> None:
    assert members(body_of("{model: m}", asked, path=path)) == {"model": '"m"', "n": "1"}


def test_other_members_keep_their_case() -> None:
    sent = members(body_of("{model: m}", '{"Extra": 1, "extra": 2, "ÄX": 3}'))
    assert sent == {"model": '"m"', "Extra": "1", "extra": "2", "ÄX": "3"}


@rows(("asked", "stream"), [("{}", "true"), ('{"stream": false}', "false"), ('{"n": 1}', "true")])
def test_a_default_stream_holds_for_a_silent_client(asked: str, stream: str) -> None:
    assert members(body_of("{defaults: {stream: true}}", asked))["stream"] == stream


def test_default_stream_options_are_kept_beside_the_request_for_token_counts() -> None:
    body = body_of("{defaults: {stream_options: {x: 1}}}", '{"stream": true}')
    assert members(body)["stream_options"] == '{"x":1,"include_usage":true}'


def test_what_the_configuration_sets_is_added_behind_what_the_client_sent() -> None:
    asked = '{"messages": [], "stream": true, "model": "asked", "n": 1}'
    body = body_of("{model: configured, stream: false, defaults: {top_p: 1}}", asked)
    assert body == b'{"messages":[],"stream":false,"model":"configured","n":1,"top_p":1}'


def test_a_body_of_one_request_is_not_changed_by_serving_it() -> None:
    routes = table(provider(openai="{model: configured, defaults: {n: 1}}"))
    asked = request(body='{"model": "asked"}')
    first, second = (sent(routes, asked, host=ACME).body for _ in range(2))
    assert first == second
    assert asked.body == b'{"model": "asked"}'
