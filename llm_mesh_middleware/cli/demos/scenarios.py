"""`llm-mesh demo`: ASM's six manifests, applied one after another, against embedded providers.

It uses public parts only: the middleware, `FakeUpstream`, a server, an HTTP client. The sockets and
TLS are real; no network and no key are needed.
"""

from __future__ import annotations

import json
import os
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.resources import as_file, files
from pathlib import Path

import httpx
import msgspec
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ...asgi import LLMMeshMiddleware, Receive, Scope, Send
from ...settings import MeshSettings
from ...testing import FakeUpstream, RecordedRequest
from ..serving.background import serving
from .surroundings import demo_authority

__all__ = ["run"]

_DASHSCOPE, _MOONSHOT, _DEMO = "dashscope.aliyuncs.com", "api.moonshot.cn", "demo-llm-server"
_KEYS = {_DASHSCOPE: "YOUR_DASHSCOPE_API_KEY", _MOONSHOT: "YOUR_MOONSHOT_API_KEY"}
_SPLIT_REQUESTS = 40
_COLUMNS = (("request to", ""), ("rule", "magenta"), ("provider", "cyan"), ("model", "green"))


class Shot(msgspec.Struct, frozen=True):
    """One request of the demonstration; `host` is the virtual LLM host it is sent to."""

    host: str
    headers: tuple[tuple[str, str], ...] = ()
    times: int = 1
    is_stream: bool = False


class Step(msgspec.Struct, frozen=True):
    """One step of a scenario: apply some manifests, then call."""

    title: str
    manifests: tuple[str, ...]
    shots: tuple[Shot, ...]


_SUBSCRIBER = (("user-type", "subscriber"),)
STEPS = (
    Step(
        "A provider: plain HTTP in, model and key added, HTTPS out",
        ("01-LLMProvider.yaml",),
        (Shot(_DASHSCOPE),),
    ),
    Step(
        "Scenario 1: subscribers get another model",
        ("02-LLMRoute-scenario1.yaml", "03-LLMProvider-scenario1.yaml"),
        (Shot(_DASHSCOPE), Shot(_DASHSCOPE, _SUBSCRIBER)),
    ),
    Step(
        "Scenario 2: traffic split between two providers",
        ("04-LLMProvider-moonshot.yaml", "05-demo-llm-server.yaml", "06-LLMRoute-scenario2.yaml"),
        (Shot(_DEMO, times=_SPLIT_REQUESTS),),
    ),
    Step("The same mesh, streaming", (), (Shot(_DASHSCOPE, _SUBSCRIBER, is_stream=True),)),
)


class Seen(msgspec.Struct, frozen=True):
    """One call as its client and its provider saw it."""

    answer: httpx.Response
    tokens: str
    upstream: RecordedRequest


def run() -> int:
    """Run every step; return 0 if each request was served as its manifests say, else 1."""
    console = Console()
    with ExitStack() as stack:
        ca, ca_file = stack.enter_context(demo_authority())
        upstreams = {}
        for host, variable in _KEYS.items():
            os.environ[variable] = f"demo-{secrets.token_hex(12)}"
            upstreams[host] = stack.enter_context(
                FakeUpstream(host_names=host, ca=ca, api_key=os.environ[variable])
            )
        console.print("Two embedded providers are listening with TLS:")
        for host, upstream in upstreams.items():
            console.print(f"   [bold]{host}[/] at {upstream.url}", highlight=False)
        endpoints = {host: upstream.url for host, upstream in upstreams.items()}
        manifests = stack.enter_context(as_file(files("llm_mesh_middleware.cli") / "manifests"))
        applied: list[Path] = []
        is_good = True
        for number, step in enumerate(STEPS, start=1):
            applied += [manifests / name for name in step.manifests]
            settings = MeshSettings(
                config=tuple(map(str, applied)), endpoints=endpoints, ca_file=ca_file
            )
            console.print(f"\n[bold]{number}. {step.title}[/]")
            for name in step.manifests:
                console.print(f"   apply {name}", highlight=False)
            with serving(LLMMeshMiddleware(_own_app, settings=settings)) as port:
                is_good &= _play(console, step, f"http://127.0.0.1:{port}", upstreams)
    verdict = "Everything was served as the manifests say." if is_good else "Something was not."
    console.print(f"\n{verdict}", style="bold green" if is_good else "bold red")
    return 0 if is_good else 1


async def _own_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve requests for other hosts: this is the application that the middleware wraps."""
    if scope["type"] != "http":
        return
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"the application itself"})


def _play(console: Console, step: Step, url: str, upstreams: dict[str, FakeUpstream]) -> bool:
    calls = [shot for shot in step.shots for _ in range(shot.times)]
    shown = track(calls, "   calling", console=console, transient=True, disable=len(calls) < 10)
    with httpx.Client(base_url=url, trust_env=False) as client:
        seen = [_call(client, shot, upstreams) for shot in shown]
    console.print(_table(step.shots, seen))
    for (url, key, status), count in sorted(Counter(map(_upstream_call, seen)).items()):
        console.print(f"   POST {url}", highlight=False)
        console.print(f"        with key {key}, answered {status}, calls: {count}", highlight=False)
    split = Counter(call.answer.headers.get("x-llm-mesh-provider", "-") for call in seen)
    if len(split) > 1 and len(step.shots) == 1:
        console.print(
            "   split: " + ", ".join(f"{name} {count}" for name, count in sorted(split.items()))
        )
    if step.shots[0].is_stream:
        console.print("   events: ", " ".join(_pieces(seen[0].answer.text)), highlight=False)
    return all(call.answer.status_code == 200 for call in seen)


def _call(client: httpx.Client, shot: Shot, upstreams: dict[str, FakeUpstream]) -> Seen:
    before = {host: len(upstream.requests) for host, upstream in upstreams.items()}
    body: dict[str, object] = {
        "messages": [{"role": "user", "content": "Please introduce yourself"}]
    }
    if shot.is_stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    answer = client.post("/", json=body, headers={"host": shot.host, **dict(shot.headers)})
    for host, upstream in upstreams.items():
        if len(upstream.requests) > before[host]:
            return Seen(answer, _tokens(answer), upstream.requests[-1])
    raise RuntimeError(f"no provider was called: {answer.status_code} {answer.text}")


def _table(shots: Sequence[Shot], seen: Sequence[Seen]) -> Table:
    """Return a table of the requests and their providers that fits 80 columns."""
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
        header_style="bold",
    )
    for title, style in _COLUMNS:
        table.add_column(title, style=style)
    table.add_column("tokens", justify="right")
    asked = [_asked(shot) for shot in shots for _ in range(shot.times)]
    for row in sorted({(text, *_facts(call)) for text, call in zip(asked, seen, strict=True)}):
        table.add_row(*row)
    return table


def _asked(shot: Shot) -> str:
    lines = [shot.host, *(f"{name}: {value}" for name, value in shot.headers)]
    return "\n".join([*lines, "stream: true"] if shot.is_stream else lines)


def _facts(call: Seen) -> tuple[str, ...]:
    headers = call.answer.headers
    rule, provider = headers.get("x-llm-mesh-rule", "-"), headers.get("x-llm-mesh-provider", "-")
    return rule, provider, call.upstream.json().get("model", "-"), call.tokens


def _upstream_call(call: Seen) -> tuple[str, str, int]:
    upstream = call.upstream
    scheme = "https" if upstream.server_name else "http"
    key = (upstream.header("authorization") or "-").removeprefix("Bearer ")
    url = f"{scheme}://{upstream.header('host')}{upstream.target}"
    return url, f"{key[:5]}***", call.answer.status_code


def _tokens(answer: httpx.Response) -> str:
    """Return `usage` of the response, or of the last event that has one."""
    documents = [answer.text]
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        documents = [event for event in _events(answer.text) if event != "[DONE]"]
    for document in reversed(documents):
        usage = json.loads(document).get("usage")
        if usage:
            return f"{usage['prompt_tokens']}/{usage['completion_tokens']}"
    return "-"


def _events(text: str) -> list[str]:
    return [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]


def _pieces(text: str) -> Iterator[str]:
    """Yield the pieces of content in the stream."""
    for event in _events(text):
        if event == "[DONE]":
            yield event
            return
        for choice in json.loads(event)["choices"]:
            if choice["delta"].get("content"):
                yield repr(choice["delta"]["content"])
