"""A web page spends no key of a mesh on localhost, unless its origin is allowed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llm_mesh_middleware.cli.serving.origins import OriginGuard
from llm_mesh_middleware.exceptions import ConfigError
from llm_mesh_middleware.settings import load_settings
from tests.rows import rows

PAGE = "https://chat.example"
OTHER = "https://evil.example"


def ask(method: str, origins: list[str], **fields: str) -> tuple[int, dict[str, str], bool]:
    """Status, header fields, and whether the application was asked."""
    asked = False
    messages: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal asked
        asked = True
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    async def send(message: Any) -> None:
        messages.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    raw = [(name.replace("_", "-").encode(), text.encode()) for name, text in fields.items()]
    scope = {"type": "http", "method": method, "path": "/", "headers": raw}

    async def serve() -> None:
        await OriginGuard(app, origins)(scope, receive, send)

    asyncio.run(serve())
    headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
    return messages[0]["status"], headers, asked


FOREIGN: list[dict[str, str]] = [
    {"origin": OTHER},
    {"origin": "null"},
    {"origin": "http://localhost:3000"},
    {"origin": "http://127.0.0.1:15001"},
    {"origin": ""},
    {"origin": f"{PAGE}.evil.example"},
    {"origin": f"{PAGE}:8443"},
    {"origin": PAGE.replace("https", "http")},
    {"origin": OTHER, "sec_fetch_site": "same-origin"},  # a host name bound to another address
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site"},
]


@rows("fields", FOREIGN, ids=str)
@rows("method", ["GET", "POST"])
@rows("origins", [[], [PAGE]], ids=str)
def test_a_request_of_another_origin_is_refused(
    fields: dict[str, str], method: str, origins: list[str]
) -> None:
    status, headers, asked = ask(method, origins, **fields)
    assert (status, asked) == (403, False)
    assert not [name for name in headers if name.startswith("access-control-")]


@rows("fields", FOREIGN[:5], ids=str)
def test_a_preflight_of_another_origin_is_refused(fields: dict[str, str]) -> None:
    status, headers, asked = ask("OPTIONS", [PAGE], access_control_request_method="POST", **fields)
    assert (status, asked) == (403, False)
    assert not [name for name in headers if name.startswith("access-control-")]


@rows(
    "fields",
    [
        {},
        {"user_agent": "curl/8"},
        {"sec_fetch_mode": "cors"},  # Node's fetch, which is no browser
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": "same-origin"},
        {"referer": OTHER},
    ],
    ids=str,
)
@rows("method", ["GET", "POST", "OPTIONS"])
def test_a_request_of_no_page_passes_as_it_is(fields: dict[str, str], method: str) -> None:
    assert ask(method, [], **fields) == (200, {"content-type": "application/json"}, True)


@rows("origins", [[PAGE], ["*"], ["https://a.example", PAGE]], ids=str)
@rows("site", [{}, {"sec_fetch_site": "cross-site"}], ids=str)
def test_a_page_of_an_allowed_origin_may_read_the_reply(
    origins: list[str], site: dict[str, str]
) -> None:
    status, headers, asked = ask("POST", origins, origin=PAGE, **site)
    assert (status, asked) == (200, True)
    assert headers["access-control-allow-origin"] == PAGE
    assert headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in headers


@rows(
    ("asked", "allowed"),
    [
        ("authorization, content-type", "authorization, content-type"),
        ("Authorization,X-Stainless-Lang", "Authorization,X-Stainless-Lang"),
        ("", None),
        ("a: b", None),
        ("x" * 2000, None),
    ],
)
def test_a_preflight_of_an_allowed_origin_is_answered(asked: str, allowed: str | None) -> None:
    status, headers, reached = ask(
        "OPTIONS",
        [PAGE],
        origin=PAGE,
        access_control_request_method="POST",
        access_control_request_headers=asked,
        access_control_request_private_network="true",
    )
    assert (status, reached) == (204, False)
    assert headers["access-control-allow-origin"] == PAGE
    assert headers["access-control-allow-methods"] == "GET, POST"
    assert headers.get("access-control-allow-headers") == allowed
    assert headers["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("", ()),
        ("https://a.example", ("https://a.example",)),
        (
            "https://A.example:8443, http://localhost:3000,http://[::1]:80",
            ("https://a.example:8443", "http://localhost:3000", "http://[::1]:80"),
        ),
        ("*", ("*",)),
    ],
)
def test_origins_are_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, text: str, origins: tuple[str, ...]
) -> None:
    monkeypatch.setenv("LLM_MESH_ORIGINS", text)
    assert load_settings().origins == origins


@pytest.mark.parametrize(
    "text", ["a.example", "https://a.example/", "https://a.example/x", "null", "https://", "a b"]
)
def test_what_is_no_origin_is_an_error(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("LLM_MESH_ORIGINS", text)
    with pytest.raises(ConfigError, match="LLM_MESH_ORIGINS"):
        load_settings()
