"""The models below `LLMPolicy.spec.guards`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..base import Count, ListOf, Wire
from ..route import RouteMatch
from ..spelling.item_name import ItemName
from ..wording import fault_at

__all__ = [
    "GuardAction",
    "GuardDeny",
    "GuardItem",
    "GuardKeywords",
    "GuardLog",
    "GuardMask",
    "GuardPII",
    "GuardRegex",
]

_Text = Annotated[str, Field(min_length=1, max_length=1000)]
_Entity = Literal["EMAIL", "CREDIT_CARD", "IBAN", "PHONE", "SECRET", "IP_ADDRESS"]


class GuardPII(Wire):
    """Personal data and secrets."""

    entities: ListOf[_Entity] = Field(
        default=("EMAIL", "CREDIT_CARD", "IBAN", "SECRET"),
        description="What to look for. Default: EMAIL, CREDIT_CARD, IBAN, SECRET.",
    )

    @model_validator(mode="after")
    def _has_entities(self) -> GuardPII:
        if not self.entities:
            raise fault_at(("entities",), "must have at least 1 item")
        return self


class GuardKeywords(Wire):
    """Words and phrases, wherever they stand."""

    deny: Annotated[ListOf[_Text], Field(min_length=1)] = Field(description="The words. Required.")
    ignore_case: bool = Field(
        default=False, description="Whether upper and lower case are the same. Default: false."
    )


class GuardRegex(Wire):
    """Regular expressions in RE2's syntax, wherever they match."""

    deny: Annotated[ListOf[_Text], Field(min_length=1)] = Field(
        description="The expressions. Required."
    )
    max_match: Annotated[Count, Field(le=4096)] | None = Field(
        default=None, description="The most characters of a match. Default: 256."
    )


class GuardDeny(Wire):
    """Refuse the request, or end the response."""

    status: Annotated[int, Field(ge=400, le=499)] | None = Field(
        default=None, description="The status of the refusal. Default: 403."
    )
    message: _Text | None = Field(
        default=None, description="What the client is told. Default: the guard's name."
    )


class GuardMask(Wire):
    """Replace what is found by the name of its entity."""

    unmask: bool = Field(
        default=False,
        description="Whether the client's own values are put back into the response."
        " Default: false.",
    )


class GuardLog(Wire):
    """Report what is found, and do nothing else."""


class GuardAction(Wire):
    """What is done about a finding; one of them."""

    deny: GuardDeny | None = Field(default=None, description="Refuse. Default: no.")
    mask: GuardMask | None = Field(default=None, description="Replace. Default: no.")
    log: GuardLog | None = Field(default=None, description="Report. Default: no.")

    @model_validator(mode="after")
    def _is_one(self) -> GuardAction:
        if sum(each is not None for each in (self.deny, self.mask, self.log)) != 1:
            raise ValueError("must have one of deny, mask and log")
        return self


class GuardItem(Wire):
    """What must not be said, and what is done about it."""

    name: ItemName = Field(description="Name of the guard, unique in its policy. Required.")
    on: Annotated[ListOf[Literal["request", "response"]], Field(min_length=1)] = Field(
        default=("request",), description="What is looked at. Default: request."
    )
    when: ListOf[RouteMatch] = Field(
        default=(), description="The requests it is for. Default: all."
    )
    roles: ListOf[Literal["user", "assistant", "system", "developer", "tool"]] | None = Field(
        default=None,
        description="Whose turns of a request are looked at. Default: every text of it.",
    )
    pii: GuardPII | None = Field(
        default=None, description="Look for personal data and secrets. Default: none."
    )
    keywords: GuardKeywords | None = Field(
        default=None, description="Look for words. Default: none."
    )
    regex: GuardRegex | None = Field(
        default=None, description="Look for regular expressions. Default: none."
    )
    action: GuardAction = Field(
        default=GuardAction(deny=GuardDeny()),
        description="What is done about what is found. Default: deny.",
    )
    shadow: bool = Field(
        default=False, description="Whether to report only what would be done. Default: false."
    )

    @model_validator(mode="after")
    def _is_sensible(self) -> GuardItem:
        if sum(each is not None for each in (self.pii, self.keywords, self.regex)) != 1:
            raise ValueError("must have one of pii, keywords and regex")
        mask = self.action.mask
        if mask is not None and mask.unmask and "request" not in self.on:
            message = "puts values of the request back; `on` must have request"
            raise fault_at(("action", "mask", "unmask"), message)
        if self.roles is not None and not self.roles:
            raise fault_at(("roles",), "must have at least 1 item")
        return self
