"""Calls are added up by account, whatever happens to other accounts."""

from __future__ import annotations

from typing import Any

import pytest

from llm_mesh_middleware._telemetry.metrics.labels import CallKey, call_labels
from llm_mesh_middleware._telemetry.metrics.ledger import Account, Ledger
from llm_mesh_middleware._telemetry.metrics.rows import CallRow

ROW = CallRow(0.1, 0.01, None, None, True, True, None)


def account(model: str) -> Account:
    return Account(
        call_labels(CallKey(None, "chat", "", "a", "a.example", 443, model, None, "r", "all", None))
    )


def test_an_account_that_cannot_be_added_up_does_not_stop_the_others() -> None:
    added: list[tuple[Any, int]] = []

    def add_up(labels: Any, rows: list[CallRow]) -> None:
        model = labels.plain["gen_ai.request.model"]
        added.append((model, len(rows)))
        if model == "m-1":
            raise ValueError(model)

    ledger, accounts = Ledger(add_up, 100), [account("m-1"), account("m-2")]
    for each in (*accounts, accounts[1]):
        ledger.add(each, ROW)

    with pytest.raises(ValueError, match="m-1"):
        ledger.settle()
    ledger.settle()

    assert added == [("m-1", 1), ("m-2", 2)]
