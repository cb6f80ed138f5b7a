"""`llm-mesh status`, `tail` and `top` against a view that is served."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from llm_mesh_middleware.cli import main
from llm_mesh_middleware.cli.watching.commands import Wanted
from llm_mesh_middleware.cli.watching.tables import view_of
from llm_mesh_middleware.testing import Answer, error_body
from llm_mesh_middleware.view import MeshView
from llm_mesh_middleware.view.values import (
    Backend,
    Call,
    ConfigStatus,
    Edge,
    Host,
    PolicyReport,
    ProviderState,
    Rule,
    Snapshot,
    key_of,
)
from tests.canaries import watched as searched
from tests.conftest import Serve
from tests.processes import ROOT
from tests.rows import rows
from tests.view.conftest import HOST, Watched


@pytest.fixture
def url(watched: Watched, serve: Serve) -> str:
    def has_cookie(scope: object) -> bool:
        headers = dict(scope["headers"])  # type: ignore[index]
        return bool(headers.get(b"cookie") == b"session=good")

    return f"http://127.0.0.1:{serve(MeshView(watched.mesh, authorize=has_cookie))}/"


def status(url: str, *options: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["status", url, "-H", "cookie: session=good", *options])
    searched("the status", done.output)
    return done.exit_code, done.output


def test_status_shows_hosts_rules_and_providers(url: str, watched: Watched) -> None:
    watched.call()
    code, text = status(url)
    assert code == 0
    assert "configuration ok, generation 1" in text
    assert f"{HOST}: split" in text
    assert "● healthy" in text
    assert max(map(len, text.splitlines())) <= 80


def test_status_tells_a_provider_that_is_out_by_its_exit_code(url: str, watched: Watched) -> None:
    watched.a.always(Answer(503, body=error_body("down")))
    for number in range(20):
        watched.call(f"text {number}")
    code, text = status(url)
    assert code == 1
    assert "✕ ejected" in text
    code, text = status(url, "--json")
    assert code == 1
    assert json.loads(text)["providers"]["a.example"]["last_failure"] == "503"


def test_a_view_that_refuses_or_is_not_there_is_an_error(url: str) -> None:
    refused = CliRunner().invoke(main, ["status", url])
    assert (refused.exit_code, "replied 403" in refused.output) == (1, True)
    absent = CliRunner().invoke(main, ["status", "http://127.0.0.1:9/"])
    assert (absent.exit_code, "no view at http://127.0.0.1:9/" in absent.output) == (1, True)
    wrong = CliRunner().invoke(main, ["status", "file:///etc/passwd"])
    assert wrong.exit_code == 2


async def some_page(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-type", b"text/html")]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": b"<html><body>not here</body></html>"})


def test_a_server_that_is_no_view_is_said_to_be_none(serve: Serve) -> None:
    url = f"http://127.0.0.1:{serve(some_page)}/"
    done = CliRunner().invoke(main, ["status", url])
    assert done.exit_code == 1
    assert done.output == (
        f"Error: no view at {url} (it replied 404); start one with llm-mesh serve --view\n"
    )


@rows(
    ("wanted", "takes"),
    [
        (Wanted(), True),
        (Wanted(status="5xx"), True),
        (Wanted(status="503"), True),
        (Wanted(status="5"), True),
        (Wanted(status="4xx"), False),
        (Wanted(host="h", rule="r", consumer="c"), True),
        (Wanted(host="other"), False),
        (Wanted(rule="other"), False),
        (Wanted(consumer="other"), False),
    ],
)
def test_calls_are_chosen_by_host_rule_status_and_consumer(wanted: Wanted, takes: bool) -> None:
    call = Call("1.1", 0.0, "h", 1.0, rule="r", consumer="c", status=503)
    assert wanted.takes(call) == takes


def test_top_shows_of_a_large_mesh_what_matters_most() -> None:
    rule = Rule("r", ("everything",), None, (Backend("p", "p.example", None, 0, 1, 1.0),))
    states = {f"p{n}.example": ProviderState("healthy", 0.0, 0, 0, 0, None) for n in range(50)}
    states["p40.example"] = ProviderState("ejected", 3.0, 1, 5, 0, "503")
    edge = Edge(7.5, 0.0, 0.0, 40, 0, 1.0, 2.0, None, 0, 0, 1.0)
    policies = {
        f"{n}": PolicyReport("p", f"item-{n}", "requests", "", {"allowed": n}, [])
        for n in range(50)
    }
    snapshot = Snapshot(
        at=0.0,
        second=0,
        workers=1,
        config=ConfigStatus("ok", 1, 0.0, (), ()),
        hosts={f"h{n}": Host(f"h{n}", "route", (rule,)) for n in range(5000)},
        rules={},
        edges={key_of("h4321", "r", "p"): edge},
        providers=states,
        seconds=[],
        calls=[],
        policies=policies,
    )
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(view_of(snapshot, lines=40))
    text = console.export_text()
    assert len(text.splitlines()) <= 40
    assert "p40.example  ✕ ejected, probe in 3 s" in text
    assert "h4321: r" in text
    assert "and 4,984 more" in text
    assert "requests item-49" in text
    assert "requests item-1 " not in text


@pytest.fixture
def tail(url: str) -> Iterator[subprocess.Popen[str]]:
    command = (sys.executable, "-m", "llm_mesh_middleware.cli", "tail", url, "--json", "-n", "1")
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*command, "-H", "cookie: session=good"], env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


@pytest.mark.slow
def test_tail_prints_the_last_calls_and_follows(
    watched: Watched, url: str, tail: subprocess.Popen[str]
) -> None:
    assert tail.stdout is not None
    seen = []
    for rule in ("split", "vip", "split"):
        watched.call(headers={"user-type": "vip"} if rule == "vip" else None)
        seen.append(json.loads(tail.stdout.readline())["rule"])
    assert seen == ["split", "vip", "split"]
    tail.send_signal(signal.SIGINT)
    assert tail.wait(60) == 0
