"""`llm-mesh cache evaluate`: hits and false hits of a semantic cache on labelled pairs of texts."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import click

from ..._core.caching.semantic.similarity import Vector
from ..._core.policy.cache import CachePolicy, Semantic
from ..._core.values.headers import Headers
from ..._core.values.messages import ClientRequest
from ...exceptions import AnswerableError
from ...mesh import Mesh
from ...settings import MeshSettings, load_settings
from ..console import make_console
from .one_provider import HEADERS, only
from .pairs import THRESHOLDS, Judged, Rates, judge, rates_at, read_pairs
from .probing import error_text

__all__ = ["report"]

_AT_ONCE = 32
_SHOWN = 5


def report(config: Sequence[str], file: Path, *, policy: str | None, as_json: bool) -> int:
    """Print the rates for several thresholds; return 0."""
    settings = load_settings(**({"config": tuple(config)} if config else {}))
    if not settings.config:
        raise click.UsageError("there are no manifests: give --config or set LLM_MESH_CONFIG")
    pairs = read_pairs(file)
    logging.disable(logging.WARNING)  # warnings about manifests are for `validate`
    mesh = Mesh(settings=settings)
    try:
        name, semantic = _find(mesh, policy)
        texts = list(dict.fromkeys(text for pair in pairs for text in (pair.a, pair.b)))
        judged = judge(pairs, _vectors(mesh, semantic, settings, texts))
    finally:
        mesh.close()
        logging.disable(logging.NOTSET)
    thresholds = sorted({*THRESHOLDS, semantic.threshold})
    rates = [rates_at(threshold, judged) for threshold in thresholds]
    if as_json:
        click.echo(json.dumps(_as_dict(name, semantic, judged, rates), indent=2))
    else:
        _print(name, semantic, judged, rates)
    return 0


def _find(mesh: Mesh, wanted: str | None) -> tuple[str, Semantic]:
    """Return the semantic cache of a policy, or of the only one.

    Raises:
        click.UsageError: there is none, or more than one.
    """
    found = {
        layer.policy: layer.semantic
        for host in mesh.hosts
        for rule in host.rules
        for layer in rule.policies
        if isinstance(layer, CachePolicy) and layer.semantic is not None
    }
    if wanted is not None:
        full = wanted if "/" in wanted else f"default/{wanted}"
        found = {name: semantic for name, semantic in found.items() if name == full}
    if len(found) == 1:
        return next(iter(found.items()))
    if not found:
        which = "" if wanted is None else f" {wanted}"
        raise click.UsageError(f"no LLMPolicy{which} with cache.semantic holds for any rule")
    names = ", ".join(sorted(found))
    raise click.UsageError(f"several policies have cache.semantic; give --policy, one of: {names}")


def _vectors(
    mesh: Mesh, semantic: Semantic, settings: MeshSettings, texts: Sequence[str]
) -> dict[str, Vector]:
    """Return the vector of each text, as the policy's provider makes it."""
    embedder = semantic.embedder
    operation = embedder.form.operation
    host = only(embedder.upstream, operation, settings)
    vectors: dict[str, Vector] = {}
    for some in (texts[start : start + _AT_ONCE] for start in range(0, len(texts), _AT_ONCE)):
        body = embedder.form.write(embedder.model, some)
        request = ClientRequest("POST", operation.suffix, Headers(HEADERS), body)
        try:
            delivery = mesh.send(host, request)
        except AnswerableError as exc:
            raise click.ClickException(f"no vectors from {host.name}: {exc.message}") from None
        try:
            status, received = delivery.reply.status, b"".join(delivery)
        finally:
            delivery.close()
        made = embedder.form.read(received) if status == 200 else None
        if made is None or len(made) != len(some):
            reason = error_text(status, received) if status != 200 else "no vector for each text"
            raise click.ClickException(f"no vectors from {host.name}: {reason}")
        vectors.update(zip(some, made, strict=True))
    return vectors


def _print(name: str, semantic: Semantic, judged: Sequence[Judged], rates: Sequence[Rates]) -> None:
    console = make_console()
    host, model = semantic.embedder.identity
    same = sum(each.pair.same for each in judged)
    other = len(judged) - same
    console.print(f"{name}: {model} of {host}")
    console.print(f"{len(judged)} pairs: {same} mean the same, {other} do not")
    console.print("threshold  hits               false hits         by vectors alone")
    for each in rates:
        mark = " *" if each.threshold == semantic.threshold else ""
        cells = (
            _share(each.hits, same),
            _share(each.false_hits, other),
            _share(each.by_vectors, other),
        )
        row = f"{each.threshold:<9g}  " + "  ".join(f"{cell:<17}" for cell in cells)
        console.print(row.rstrip() + mark, highlight=False)
    console.print("* the threshold of the policy")
    for wrong in _false(judged, semantic.threshold)[:_SHOWN]:
        texts = f"{wrong.pair.a!r} = {wrong.pair.b!r}"
        console.print(f"false hit {wrong.similarity:.3f}: {texts}", highlight=False, markup=False)


def _share(count: int, of: int) -> str:
    return f"{count} of {of}" + (f" ({100 * count / of:.1f} %)" if of else "")


def _false(judged: Sequence[Judged], threshold: float) -> list[Judged]:
    found = [
        each
        for each in judged
        if each.has_same_content and not each.pair.same and each.similarity >= threshold
    ]
    return sorted(found, key=lambda each: -each.similarity)


def _as_dict(
    name: str, semantic: Semantic, judged: Sequence[Judged], rates: Sequence[Rates]
) -> dict[str, object]:
    host, model = semantic.embedder.identity
    same = sum(each.pair.same for each in judged)
    other = len(judged) - same
    return {
        "policy": name,
        "providerHost": host,
        "model": model,
        "threshold": semantic.threshold,
        "same": same,
        "different": other,
        "thresholds": [
            {
                "threshold": each.threshold,
                "hits": each.hits,
                "hitRate": each.hits / same if same else None,
                "falseHits": each.false_hits,
                "falseHitRate": each.false_hits / other if other else None,
                "falseHitsByVectorsAlone": each.by_vectors,
            }
            for each in rates
        ],
        "falseHits": [
            {"a": each.pair.a, "b": each.pair.b, "similarity": round(each.similarity, 4)}
            for each in _false(judged, semantic.threshold)
        ],
    }
