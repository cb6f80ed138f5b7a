"""The models of `LLMPolicy.spec.budgets`."""

from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from ..base import ListOf, Wire
from ..route import RouteMatch
from ..spelling.duration import read_duration
from ..spelling.item_name import ItemName
from ..spelling.money import Currency, Money
from ..wording import fault_at
from .counting import CountedBy, OnMissing, OnStoreFailure, Shadow, TrustHeaders
from .parts import check_headers

__all__ = ["BudgetItem", "BudgetOverride"]

_PERIODS = ("day", "week", "month", "quarter", "year")
_SHORTEST_S = 1.0
_PATTERN = rf"^(?:{'|'.join(_PERIODS)}|(?:[0-9]+(?:\.[0-9]+)?(?:ms|h|m|s))+)$"


def _read_period(value: object) -> object:
    if value in _PERIODS:
        return value
    if isinstance(value, str) and value.isalpha():
        raise ValueError(f"must be one of {', '.join(_PERIODS)}, or a duration such as 24h")
    seconds = read_duration(value)
    if isinstance(seconds, float) and seconds < _SHORTEST_S:
        raise ValueError("must be a second or longer")
    return seconds


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        raise ValueError("must be the name of a time zone, such as Asia/Shanghai") from None
    except KeyError:
        message = "is not a known time zone; expected a name such as Asia/Shanghai"
        raise ValueError(message) from None
    return name


_Period = Annotated[
    Literal["day", "week", "month", "quarter", "year"] | float,
    BeforeValidator(_read_period),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": _SHORTEST_S},
                {"type": "string", "pattern": _PATTERN},
            ]
        }
    ),
]
_Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class BudgetOverride(Wire):
    """Another amount for requests that match."""

    match: RouteMatch = Field(description="The requests that this is for.")
    amount: Money = Field(description="The amount for each `per`.")


class BudgetItem(Wire):
    """A limit on costs for each value of `by`. While the store is away they are counted later."""

    name: ItemName = Field(description="Name of the budget, unique in its policy.")
    by: CountedBy = ()
    when: ListOf[RouteMatch] = Field(
        default=(), description="The requests whose cost counts. Default: all."
    )
    amount: Money = Field(
        description="The amount for each `per`: a whole number, or a decimal in quotes. Required."
    )
    currency: Currency = Field(
        default="USD",
        description="Currency (ISO 4217); costs in others are not counted. Default: USD.",
    )
    per: _Period = Field(
        description="The period of the amount: day, week, month, quarter, year, or a duration,"
        " whose periods are counted from 1970. Required."
    )
    time_zone: Annotated[str, AfterValidator(_check_zone)] | None = Field(
        default=None, description="Time zone in which days begin. Default: UTC."
    )
    warn_at: ListOf[_Share] = Field(
        default=(),
        description="Shares of the amount, such as 0.8. When one is spent, it is logged and"
        " reported to observers, once in each `per`. Default: none.",
    )
    on_exceeded: Literal["deny", "warn", "fallback"] | None = Field(
        default=None,
        description="What happens when the amount is used up. deny: 429 until the next `per`; warn:"
        " observers get a decision; fallback: requests go to the rule's next priority, or are"
        " denied if there is none. Default: deny.",
    )
    unpriced: Literal["allow", "deny"] | None = Field(
        default=None,
        description="Whether models without a price in the currency may be called. Default: allow.",
    )
    reserve: Literal["auto", "max", "none"] | None = Field(
        default=None,
        description="What to reserve before a call, at most a twentieth of the amount. max: the"
        " cost of the longest output that it allows; auto: the cost of earlier calls; none:"
        " nothing. Default: max.",
    )
    overrides: ListOf[BudgetOverride] = Field(
        default=(), description="Other amounts; the first that matches applies. Default: none."
    )
    on_missing: OnMissing = None
    on_store_failure: OnStoreFailure = None
    trust_headers: TrustHeaders = False
    shadow: Shadow = False

    @model_validator(mode="after")
    def _is_sensible(self) -> Self:
        check_headers(self.by, are_trusted=self.trust_headers)
        if self.time_zone is not None and not isinstance(self.per, str):
            raise fault_at(("timeZone",), "needs `per: day` or longer: a duration has no time zone")
        if self.shadow and self.on_exceeded is not None:
            raise fault_at(("onExceeded",), "must not be set with shadow, which refuses nobody")
        return self
