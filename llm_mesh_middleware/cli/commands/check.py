"""`llm-mesh check`: each provider for real, from the DNS to the first token."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence

import click
from msgspec.structs import asdict
from rich.text import Text

from ..._core.dialect import ServedOperation
from ..._core.provider.upstream import Upstream
from ..._core.values.headers import Headers
from ..._core.values.messages import ClientRequest
from ..._dialects.anthropic import MESSAGES
from ..._dialects.openai_chat import CHAT
from ..._engine.http.proxy import env_proxy
from ..._engine.tls import TLSContexts
from ...exceptions import AnswerableError
from ...mesh import Mesh
from ...settings import MeshSettings, load_settings
from ..console import make_console
from .one_provider import HEADERS, only
from .probing import Finding, Probe, error_text

__all__ = ["report"]

_STYLES = {"ok": "green", "failed": "bold red", "warning": "yellow", "skipped": "dim"}
_PROMPT = [{"role": "user", "content": "Reply with one word."}]
# Anthropic's API requires a limit; OpenAI's newer models refuse the field that older ones need.
_BODIES: dict[ServedOperation, dict[str, object]] = {
    CHAT: {"messages": _PROMPT, "stream": True},
    MESSAGES: {"messages": _PROMPT, "stream": True, "max_tokens": 16},
}


def report(config: Sequence[str], *, send: bool, model: str | None, as_json: bool) -> int:
    """Print the findings for each provider; return 0 if no stage has failed, else 1."""
    settings = load_settings(**({"config": tuple(config)} if config else {}))
    if not settings.config:
        raise click.UsageError("there are no manifests: give --config or set LLM_MESH_CONFIG")
    logging.disable(logging.WARNING)  # warnings about manifests are for `validate`
    mesh = Mesh(settings=settings)
    found: list[tuple[Upstream, list[Finding]]] = []
    try:
        for upstream in _upstreams(mesh):
            if not as_json:
                _print_title(upstream)
            findings: list[Finding] = []
            for finding in _check(mesh, settings, upstream, send=send, model=model):
                findings.append(finding)
                if not as_json:
                    _print(finding)
            found.append((upstream, findings))
    finally:
        mesh.close()
        logging.disable(logging.NOTSET)
    if as_json:
        click.echo(json.dumps([_as_dict(*each) for each in found], indent=2))
    has_failed = any(each.state == "failed" for _, findings in found for each in findings)
    return 1 if has_failed or not found else 0


def _upstreams(mesh: Mesh) -> Iterator[Upstream]:
    """Yield each provider once for each model and key that a rule uses it with."""
    seen: list[tuple[object, ...]] = []
    for host in mesh.hosts:
        for rule in host.rules:
            for upstream in rule.upstreams:
                keys = tuple(upstream.credentials.values())
                use = (upstream.identity, upstream.model, upstream.headers, keys)
                if use not in seen:
                    seen.append(use)
                    yield upstream


def _check(
    mesh: Mesh, settings: MeshSettings, upstream: Upstream, *, send: bool, model: str | None
) -> Iterator[Finding]:
    contexts = TLSContexts(settings.ca_file)
    has_failed = False
    for endpoint in upstream.endpoints.now():
        if settings.trust_env and env_proxy(endpoint) is not None:
            text = "a proxy connects to the provider; use --send"
            yield Finding("connection", "skipped", text)
            continue
        probe = Probe(upstream, endpoint, contexts, timeout_s=settings.connect_timeout)
        for finding in probe.run():
            has_failed |= finding.state == "failed"
            yield finding
    if send and not has_failed:
        yield _send(mesh, upstream, settings, model)


def _send(mesh: Mesh, upstream: Upstream, settings: MeshSettings, model: str | None) -> Finding:
    """Make a short call through the mesh, and measure the time to its first token."""
    operation = next((each for each in _BODIES if each in upstream.targets), None)
    if operation is None:
        return Finding("send", "skipped", "the provider serves no chat")
    name = model or upstream.model or next(iter(upstream.model_mapping), None)
    if name is None:
        return Finding("send", "skipped", "no model is configured; name one with --model")
    body = json.dumps(_BODIES[operation] | {"model": name}).encode()
    request = ClientRequest(
        "POST", operation.client_suffix or operation.suffix, Headers(HEADERS), body
    )
    begin = time.monotonic()
    try:
        delivery = mesh.send(only(upstream, operation, settings), request)
    except AnswerableError as exc:
        return Finding("send", "failed", exc.message, _milliseconds(begin))
    try:
        first = next(iter(delivery), b"")
        elapsed = _milliseconds(begin)
        if delivery.reply.status >= 400:
            text = error_text(delivery.reply.status, first)
            return Finding("send", "failed", f"the provider refuses {name}: {text}", elapsed)
        return Finding("send", "ok", f"{name}: first token", elapsed)
    finally:
        delivery.close()


def _milliseconds(begin: float) -> int:
    return round((time.monotonic() - begin) * 1000)


def _print_title(upstream: Upstream) -> None:
    words = (upstream.provider, upstream.host, upstream.model or "")
    make_console().print(Text("  ".join(words).rstrip(), "bold"))


def _print(finding: Finding) -> None:
    took = "" if finding.milliseconds is None else f" ({finding.milliseconds} ms)"
    state = (f"{finding.state:<8}", _STYLES[finding.state])
    make_console().print(Text.assemble("  ", state, f" {finding.stage:<6} {finding.text}{took}"))


def _as_dict(upstream: Upstream, findings: list[Finding]) -> dict[str, object]:
    return {
        "provider": upstream.provider,
        "host": upstream.host,
        "model": upstream.model,
        "stages": [asdict(finding) for finding in findings],
    }
