"""Configurations of LiteLLM proxies as teams have them, and the calls that each leads to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.canaries import canary

LITERAL = canary("litellm")


@dataclass(frozen=True)
class Shape:
    """A configuration, the calls that it leads to, and what it must remark on.

    `calls` maps a model that a client names to `url model` of each backend, in order. `rule`
    and `provider` are further facts of the first model and of all providers, `limits`,
    `budgets` and `ttl_s` of policies, `balance` of the first rule.
    """

    name: str
    config: str
    calls: dict[str, list[str]]
    remarks: tuple[str, ...] = ()
    rule: dict[str, Any] = field(default_factory=dict)
    provider: dict[str, Any] = field(default_factory=dict)
    limits: list[dict[str, Any]] = field(default_factory=list)
    budgets: list[tuple[str, str, str | float, list[str]]] = field(default_factory=list)
    ttl_s: float | None = None
    balance: str | None = None


OPENAI = "https://api.openai.com/v1/chat/completions"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/models"
