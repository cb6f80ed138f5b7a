"""The models below `LLMPolicy.spec.guards`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue, model_validator
from pydantic.alias_generators import to_camel

from ..base import Count, ListOf, Name, Wire
from ..keys import APIKeySource, SecretText
from ..route import RouteMatch
from ..spelling.duration import Duration
from ..spelling.item_name import ItemName
from ..values import check_host
from ..wording import fault_at
from .services import check_url

__all__ = [
    "GuardAction",
    "GuardDeny",
    "GuardItem",
    "GuardJudge",
    "GuardKeywords",
    "GuardLog",
    "GuardMask",
    "GuardModeration",
    "GuardPII",
    "GuardRegex",
    "GuardSchema",
    "GuardWebhook",
]

_Text = Annotated[str, Field(min_length=1, max_length=1000)]
_ASKING = ("webhook", "judge", "moderation")
# The fields of the kinds, and what they are called in documents.
_KINDS = {name: name for name in ("pii", "keywords", "regex")}
_KINDS |= {"json_schema": "schema", **{name: name for name in _ASKING}}
_Schema = dict[str, JsonValue]
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

    deny: ListOf[_Text] = Field(default=(), description="What must not match. Default: none.")
    allow: ListOf[_Text] = Field(
        default=(),
        description="Of these one must match in every text of a request that is looked at."
        " Default: none.",
    )
    max_match: Annotated[Count, Field(le=4096)] | None = Field(
        default=None, description="The most characters of a match. Default: 256."
    )

    @model_validator(mode="after")
    def _has_expressions(self) -> GuardRegex:
        if bool(self.deny) == bool(self.allow):
            raise ValueError("must have one of deny and allow")
        return self


class GuardSchema(Wire):
    """JSON Schemas of what models answer, 2020-12 unless `$schema` names another draft."""

    answer: _Schema | None = Field(
        default=None, description="What the text of an answer must fit. Default: anything."
    )
    tools: dict[Name, _Schema] = Field(
        default_factory=dict,
        description="What the arguments of calls must fit, by the name of the tool. Default:"
        " anything.",
    )

    @model_validator(mode="after")
    def _has_schemas(self) -> GuardSchema:
        if self.answer is None and not self.tools:
            raise ValueError("must have one of answer and tools")
        return self


class GuardWebhook(Wire):
    """An HTTP service of your own that is asked about the texts."""

    url: Annotated[str, AfterValidator(check_url)] = Field(
        description="Where texts are posted to: http:// or https://, host, port, path."
    )
    api_key: SecretText | None = Field(
        default=None, description="Sent as a Bearer token. Default: none is sent."
    )
    api_key_from: APIKeySource | None = Field(
        default=None, description="Where to read the API key, instead of apiKey. Default: nowhere."
    )


class GuardJudge(Wire):
    """A model that judges the texts by rules in plain language."""

    provider_host: Annotated[str, AfterValidator(check_host)] = Field(
        description="Host of the LLMProvider that serves the model."
    )
    model: Name | None = Field(default=None, description="The model. Default: the provider's.")
    rules: Annotated[str, Field(min_length=1, max_length=8000)] | None = Field(
        default=None,
        description="What to deny and what to allow. Default: deny what is harmful, private or an"
        " attempt to change the instructions.",
    )


class GuardModeration(Wire):
    """OpenAI's moderation endpoint, or one like it."""

    provider_host: Annotated[str, AfterValidator(check_host)] = Field(
        description="Host of the LLMProvider that has the endpoint next to chat completions."
    )
    model: Name | None = Field(
        default=None, description="The model. Default: omni-moderation-latest."
    )
    thresholds: dict[Name, Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]] = Field(
        default_factory=dict,
        description="From which score on a category is denied; others are not. Default: what the"
        " provider flags is denied.",
    )


class GuardDeny(Wire):
    """Refuse the request, or end the response."""

    status: Annotated[int, Field(ge=400, le=499)] | None = Field(
        default=None, description="The status of the refusal. Default: 403."
    )
    message: _Text | None = Field(
        default=None, description="Message to the client. Default: the guard's name."
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
        default=("request",),
        description="What is looked at. Default: request; the response for a schema.",
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
    json_schema: GuardSchema | None = Field(
        default=None,
        alias="schema",
        description="Have answers fit a JSON Schema; streams are held back to their end (extra"
        " schema). Default: none.",
    )
    webhook: GuardWebhook | None = Field(
        default=None, description="Ask an HTTP service. Default: none."
    )
    judge: GuardJudge | None = Field(default=None, description="Ask a model. Default: none.")
    moderation: GuardModeration | None = Field(
        default=None, description="Ask a moderation endpoint. Default: none."
    )
    timeout: Duration | None = Field(
        default=None,
        description="How long a webhook, a judge or a moderation may take for one verdict."
        " Default: 2s for a webhook, else 10s.",
    )
    on_failure: Literal["deny", "allow"] | None = Field(
        default=None,
        description="What happens to texts without a verdict, whatever the reason. deny: 503;"
        " allow: they pass. Default: deny.",
    )
    window: Annotated[Count, Field(le=1_000_000)] | None = Field(
        default=None,
        description="After how many characters of a streamed response to ask; so many are held"
        " back. Default: 1000.",
    )
    mode: Literal["before", "concurrent"] | None = Field(
        default=None,
        description="When a request is asked about. before: nothing is sent without the verdict;"
        " concurrent: the call is made meanwhile, and its reply waits for the verdict. Default:"
        " before.",
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
        kinds = [name for name in _KINDS if getattr(self, name) is not None]
        if len(kinds) != 1:
            *names, last = _KINDS.values()
            raise ValueError(f"must have one of {', '.join(names)} and {last}")
        for field in ("timeout", "on_failure", "window", "mode"):
            if kinds[0] not in _ASKING and getattr(self, field) is not None:
                message = f"is for guards that ask: {', '.join(_ASKING)}"
                raise fault_at((to_camel(field),), message)
        mask = self.action.mask
        if self.json_schema is not None:
            self._is_about_answers()
        if self.mode == "concurrent":
            self._can_be_late()
        if mask is not None and kinds[0] in ("judge", "moderation"):
            message = f"cannot be: a {kinds[0]} does not say which part of a text it is about"
            raise fault_at(("action", "mask"), message)
        if self.regex is not None and self.regex.allow:
            if mask is not None:
                raise fault_at(("action", "mask"), "cannot be: what is missing cannot be masked")
            if "response" in self.on:
                message = "must be [request]: `allow` is about whole texts, and responses stream"
                raise fault_at(("on",), message)
        if mask is not None and mask.unmask and "request" not in self.on:
            message = "puts values of the request back; `on` must have request"
            raise fault_at(("action", "mask", "unmask"), message)
        if self.roles is not None and not self.roles:
            raise fault_at(("roles",), "must have at least 1 item")
        return self

    def _is_about_answers(self) -> None:
        if "on" in self.model_fields_set and self.on != ("response",):
            raise fault_at(("on",), "must be [response]: a schema is about answers")
        if self.action.mask is not None:
            raise fault_at(("action", "mask"), "cannot be: a schema is about a whole answer")
        if self.roles is not None:
            raise fault_at(("roles",), "are of turns of a request; a schema is about answers")

    def _can_be_late(self) -> None:
        if "request" not in self.on:
            raise fault_at(("mode",), "is about requests; `on` must have request")
        if self.action.mask is not None:
            raise fault_at(("action", "mask"), "cannot be concurrent: the request is sent as it is")
