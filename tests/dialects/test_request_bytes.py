"""What no configuration speaks of reaches the provider byte for byte."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.scripted import sent
from tests.core.tables import ACME, provider, request, route, table
from tests.dialects.members import members
from tests.rows import rows

# A provider that sets what it can set.
CONFIGURED = table(
    provider(openai="{model: configured, stream: false, defaults: {top_p: 0.5, seed: 7}}"),
    route(f"- backendRefs: [{{providerHost: {ACME}}}]"),
)
PLAIN = table(provider())
SET = {"model", "stream", "stream_options", "top_p", "seed"}

VALUES = [
    # numbers keep their spelling
    "1e2",
    "1E+2",
    "1e-7",
    "1.0",
    "0.10",
    "-0",
    "-0.0",
    "0e0",
    "10000000000000000000000",
    "-99999999999999999999.99999999999999999999",
    "1e999",
    "0.1000000000000000055511151231257827",
    "9" * 4000,
    # strings keep their escapes
    '""',
    r'"\u0041\u00e9\u4F60\u597d"',
    r'"\ud83d\ude00 \/ \b\f\n\r\t \" \\"',
    '"你好 café 😀"',
    '"\u2028\u2029\x7f"',
    r'"\u0000"',
    # and everything the space inside it
    "true",
    "null",
    "[]",
    "{}",
    "[ 1 ,2,\t3 ]",
    '{ "b" :1,\r\n "a": [ { } ] }',
    '{"a":1,"a":2}',
    '[{"role": "user",  "content": [{"type":"text","text":"\\u003cb>"}]}]',
    "[" * 500 + "]" * 500,
]


@rows("value", VALUES, ids=lambda value: value[:30])
@rows("routes", [PLAIN, CONFIGURED], ids=["plain", "configured"])
def test_a_members_value_is_not_changed_by_a_byte(routes: object, value: str) -> None:
    body = f' {{ "messages" : {value} , "x":\n{value}\t}}\r\n'
    found = members(sent(routes, request(body=body), host=ACME).body)  # type: ignore[arg-type]
    assert (found["messages"], found["x"]) == (value, value)


def test_the_order_of_members_is_kept() -> None:
    body = '{"z":1,"model":"m","a":{"z":1,"a":2},"messages":[],"b":null}'
    assert sent(PLAIN, request(body=body), host=ACME).body == body.encode()
    assert sent(PLAIN, request(path="/v1/embeddings", body=body), host=ACME).body == body.encode()


def test_space_between_members_is_the_only_thing_that_goes() -> None:
    assert sent(PLAIN, request(body='\n{ "a" : 1 ,\t"b":2 } '), host=ACME).body == b'{"a":1,"b":2}'
    assert sent(PLAIN, request(body=" { } "), host=ACME).body == b"{}"


@rows(
    ("body", "wanted"),
    [
        ('{"n": 1, "n": 2}', {"n": "2"}),
        ('{"n": 1, "m": 0, "n": 2, "n": 3}', {"n": "3", "m": "0"}),
        (r'{"n": 1, "\u006e": 2}', {"n": "2"}),
        ('{"model": "a", "model": "b"}', {"model": '"b"'}),
        (r'{"model": "a", "mod\u0065l": "b"}', {"model": '"b"'}),
        ('{"stream": true, "stream": false}', {"stream": "false"}),
        ('{"": 1, "": 2}', {"": "2"}),
    ],
)
def test_of_a_member_that_is_there_twice_the_last_is_left(
    body: str, wanted: dict[str, str]
) -> None:
    # Or the provider could take another one for it than the router did.
    assert members(sent(PLAIN, request(body=body), host=ACME).body) == wanted


def test_a_long_body_is_passed_on_whole() -> None:
    content = "".join(f"line {number} \\u00e9 é\\n" for number in range(20_000))
    body = f'{{"messages":[{{"role":"user","content":"{content}"}}]}}'
    assert sent(PLAIN, request(body=body), host=ACME).body == body.encode()


SPACES = st.text(" \t\r\n", max_size=3)
NUMBERS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
)
ESCAPES = st.sampled_from(
    [r"\"", r"\\", r"\/", r"\b", r"\f", r"\n", r"\r", r"\t", r"\u00E9", r"\u0000", r"\uD83D\ude00"]
)
CHARACTERS = st.characters(min_codepoint=32, exclude_characters='"\\', exclude_categories=["Cs"])
STRINGS = st.lists(st.one_of(CHARACTERS, ESCAPES), max_size=8).map(lambda p: f'"{"".join(p)}"')


@st.composite
def arrays(draw: st.DrawFn, items: st.SearchStrategy[str]) -> str:
    parts = [draw(SPACES) + item + draw(SPACES) for item in draw(st.lists(items, max_size=3))]
    return f"[{','.join(parts) or draw(SPACES)}]"


@st.composite
def objects(draw: st.DrawFn, items: st.SearchStrategy[str]) -> str:
    pairs = draw(st.lists(st.tuples(STRINGS, items), max_size=3))
    return _object(draw, pairs)


def _object(draw: st.DrawFn, pairs: list[tuple[str, str]]) -> str:
    gap = lambda: draw(SPACES)  # noqa: E731 - drawn anew at every place
    parts = [f"{gap()}{name}{gap()}:{gap()}{value}{gap()}" for name, value in pairs]
    return f"{{{','.join(parts) or gap()}}}"


JSON = st.recursive(
    st.one_of(NUMBERS, STRINGS, st.sampled_from(["true", "false", "null"])),
    lambda items: st.one_of(arrays(items), objects(items)),
    max_leaves=8,
)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, dict[str, str]]:
    """A JSON object as text, and its members as written: of two with one name the last."""
    names = st.one_of(STRINGS, st.sampled_from([f'"{name}"' for name in sorted(SET)]))
    pairs = draw(st.lists(st.tuples(names, JSON), max_size=6))
    text = draw(SPACES) + _object(draw, pairs) + draw(SPACES)
    return text, {json.loads(name): value for name, value in pairs}


@settings(max_examples=30, deadline=None)
@given(bodies())
def test_every_member_that_no_configuration_sets_is_the_same_upstream(
    made: tuple[str, dict[str, str]],
) -> None:
    text, written = made
    upstream = members(sent(CONFIGURED, request(body=text)).body)
    left = {name: value for name, value in written.items() if name not in SET}
    assert {name: value for name, value in upstream.items() if name not in SET} == left
    assert (upstream["model"], upstream["stream"]) == ('"configured"', "false")
    assert upstream["top_p"] == written.get("top_p", "0.5")
    assert upstream["seed"] == written.get("seed", "7")


@settings(max_examples=30, deadline=None)
@given(bodies())
def test_without_configuration_only_the_space_between_members_goes(
    made: tuple[str, dict[str, str]],
) -> None:
    text, written = made
    upstream = members(sent(PLAIN, request(path="/v1/embeddings", body=text), host=ACME).body)
    assert list(upstream.items()) == list(written.items())
