"""Charges as metrics: a cost by currency, or an attempt without a price."""

from __future__ import annotations

from ..._core.pricing.charge import Charge
from .. import semconv
from .instruments import MeshMetrics
from .limited_names import ModelNames
from .tallies import Labels

__all__ = ["record_cost"]


def record_cost(
    metrics: MeshMetrics, models: ModelNames, charge: Charge, more: Labels = ()
) -> None:
    """Record a charge by provider, model and `more`, which a charge without a price leaves out."""
    model = models.requested(charge.model)
    labels: Labels = ((semconv.PROVIDER_NAME, charge.provider),)
    if model is not None:
        labels = (*labels, (semconv.REQUEST_MODEL, model))
    if charge.amount is None or charge.currency is None:
        metrics.unpriced.add(1, labels)
    else:
        metrics.cost.add(charge.amount, (*labels, (semconv.COST_CURRENCY, charge.currency), *more))
