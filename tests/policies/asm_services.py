"""The two sample services of ASM, as its documentation describes them, on a real socket."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from llm_mesh_middleware.testing import Answer, RecordedRequest

__all__ = ["RequestCache", "TokenLimits"]


class RequestCache:
    """Keeps responses by host, model and the content of the last message."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.asked: list[dict[str, Any]] = []

    def __call__(self, request: RecordedRequest) -> Answer:
        given = request.json()
        self.asked.append(given)
        try:
            key = _key(given["request"])
        except (KeyError, IndexError, ValueError):
            return Answer(400, body=b"bad request")
        if request.path.endswith("/lookup"):
            if key not in self.kept:
                return Answer(404, body=b"not found")
            return Answer(body={"request": given["request"], "response": self.kept[key]})
        assert request.path.endswith("/update")
        self.kept[key] = given["response"]
        return Answer(body=b"")


def _key(request: dict[str, Any]) -> str:
    headers, body = request["headers"], json.loads(request["body"])
    host = headers.get("host") or headers[":authority"]
    content = body["messages"][-1]["content"]
    if not content:
        raise ValueError("an empty message")
    return f"{host}-{body.get('model', 'UNKNOW')}-{content}"


class TokenLimits:
    """Counts completion tokens by key; a key without a rule is unlimited."""

    def __init__(self, **balances: int) -> None:
        """`balances` are those of keys that match its name, by regular expression."""
        self._rules = balances
        self.balances: dict[str, int] = {}
        self.records: list[dict[str, Any]] = []

    def __call__(self, request: RecordedRequest) -> Answer:
        parts = urlsplit(request.target)
        if parts.path.endswith("/update_ratelimit_record"):
            record = request.json()
            self.records.append(record)
            for key in record["ratelimit_keys"]:
                self.balances[key] = self._balance(key) - record["completion_tokens"]
            return Answer(body=b"")
        assert (request.method, parts.path.endswith("/ratelimit")) == ("GET", True)
        (keys,) = parse_qs(parts.query)["ratelimit_keys"]
        spent = [key for key in json.loads(keys) if self._balance(key) <= 0]
        why = f"{spent[0]} is being rate-limited" if spent else ""
        return Answer(body={"allow": not spent, "description": why})

    def _balance(self, key: str) -> int:
        if key in self.balances:
            return self.balances[key]
        rules = (balance for rule, balance in self._rules.items() if re.search(rule, key))
        return next(rules, 10**9)
