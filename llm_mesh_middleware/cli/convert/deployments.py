"""One entry of LiteLLM's `model_list`, as the provider and the backend that it becomes.

model_list[]  ->  Deployment  --same settings-->  one LLMProvider
                              --same model_name-->  backends of one rule
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from . import spelling
from .specs import read_spec, settings_of
from .variables import Entry, Note
from .vendors import UNSUPPORTED, VENDORS, form_of, split_model

__all__ = ["Deployment", "read_deployment", "seconds"]

Settings = Mapping[str, Any]

_READ = frozenset(
    ("budget_duration", "custom_llm_provider", "max_budget", "max_retries", "model", "order", "rpm",
     "stream_timeout", "timeout", "tpm", "weight")
)  # fmt: skip
# LiteLLM's names of what a token costs, and the mesh's.
_PRICES = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cacheRead",
    "cache_creation_input_token_cost": "cacheWrite",
    "output_cost_per_reasoning_token": "reasoning",
}
_HOW_TO_CALL = ("converse/", "invoke/")  # prefixes of Bedrock models


class Deployment(msgspec.Struct, frozen=True):
    """A backend for the model `name`.

    `spec` is the LLMProvider's without its host, and `hostname` its DNS name. Deployments that are
    equal in both share a provider. `rates` are requests and tokens per minute, `budget` an amount
    and its period.
    """

    name: str
    model: str | None
    label: str
    hostname: str
    spec: dict[str, Any]
    prices: dict[str, Any] | None = None
    rates: tuple[int | None, int | None] = (None, None)
    budget: tuple[object, object] = (None, None)
    weight: int | None = None
    order: int = 0
    request_s: float | None = None
    stream_s: float | None = None
    retries: int | None = None
    is_embedding: bool = False


def read_deployment(
    listed: Settings, number: int, note: Note, environ: Mapping[str, str]
) -> Deployment | None:
    """Return the deployment, or None if the mesh cannot serve it; `note` gets the reason."""
    name, params = listed.get("model_name"), listed.get("litellm_params")
    if not isinstance(name, str) or not isinstance(params, dict):
        note(f"model_list[{number}]", "has no model_name or no litellm_params")
        return None
    entry = Entry(params, number, note, environ)
    vendor, model = split_model(str(params.get("model", name)))
    vendor = params.get("custom_llm_provider") or vendor
    is_known = vendor in VENDORS or vendor in UNSUPPORTED
    if not is_known and (params.get("api_base") or params.get("base_url")):
        vendor = "openai"  # its server is named, so the key goes nowhere else
    if vendor not in VENDORS:
        entry.remark("model", f"{vendor} has no API that the mesh knows of")
        return None
    wildcard = _check_wildcard(name, model, entry)
    info = listed.get("model_info")
    info = info if isinstance(info, dict) else {}
    form = form_of(vendor, is_embedding=info.get("mode") == "embedding")
    found = None if wildcard is False else read_spec(form, vendor, model, entry)
    if found is None:
        return None
    known = _READ | settings_of(form) | _PRICES.keys()
    for key in sorted(params.keys() - known):
        entry.remark(key, "has no equivalent and was left out")
    model = _bare(vendor, model)
    return Deployment(
        name=name,
        model=None if wildcard else model,
        label=vendor.replace("_", "-"),
        hostname=found[0],
        spec=found[1],
        prices=_prices(model, {**info, **params}),
        budget=(params.get("max_budget"), params.get("budget_duration")),
        rates=(_whole(params, "rpm"), _whole(params, "tpm")),
        weight=_weight(params),
        order=_whole(params, "order") or 0,
        request_s=seconds(params.get("timeout")),
        stream_s=seconds(params.get("stream_timeout")),
        retries=_whole(params, "max_retries"),
        is_embedding=info.get("mode") == "embedding",
    )


def seconds(value: object) -> float | None:
    """Return a positive number of seconds as a float, else None."""
    return float(value) if isinstance(value, (int, float)) and value > 0 else None


def _check_wildcard(name: str, model: str, entry: Entry) -> bool | None:
    """Return whether requests name the model; False if the mesh cannot pass on that name."""
    if "*" not in name and "*" not in model:
        return None
    if name in ("*", model) and name.find("*") == len(name) - 1:
        return True
    entry.remark("model", f"{name!r} would have to be renamed to {model!r} for each request")
    return False


def _bare(vendor: str, model: str) -> str:
    """Return a model without the prefix that selects LiteLLM's API for it."""
    if VENDORS[vendor].form == "bedrock":
        for prefix in _HOW_TO_CALL:
            model = model.removeprefix(prefix)
    return model


def _prices(model: str, settings: Settings) -> dict[str, Any] | None:
    """Return the model's prices of a million tokens; LiteLLM states them per token."""
    found = {}
    for theirs, ours in _PRICES.items():
        # YAML reads `5e-7`, without a point, as text.
        try:
            amount = Decimal(str(settings.get(theirs))) * 10**6
        except InvalidOperation:
            continue
        if amount.is_finite() and amount >= 0:
            found[ours] = spelling.amount(amount)
    return {"model": {"exact": model}, "perMillion": found} if found else None


def _whole(settings: Settings, key: str) -> int | None:
    value = settings.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _weight(params: Settings) -> int | None:
    """Return the share in LiteLLM's simple shuffle: weight, else rpm, else tpm."""
    for key in ("weight", "rpm", "tpm"):
        if isinstance(params.get(key), int):
            return int(params[key])
    return None
