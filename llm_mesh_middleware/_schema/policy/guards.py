"""The models below `LLMPolicy.spec.guards`."""

from typing import Annotated, Literal, Self

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
# The fields of the kinds, and their names in documents.
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
    def _has_entities(self) -> Self:
        if not self.entities:
            raise fault_at(("entities",), "must have at least 1 item")
        return self


class GuardKeywords(Wire):
    """Words and phrases, anywhere in a text."""

    deny: Annotated[ListOf[_Text], Field(min_length=1)] = Field(description="The words. Required.")
    ignore_case: bool = Field(
        default=False, description="Whether upper and lower case are the same. Default: false."
    )


class GuardRegex(Wire):
    """Regular expressions in RE2's syntax, anywhere in a text."""

    deny: ListOf[_Text] = Field(default=(), description="What must not match. Default: none.")
    allow: ListOf[_Text] = Field(
        default=(),
        description="At least one of these must match in every text that is checked. Default:"
        " none.",
    )
    max_match: Annotated[Count, Field(le=4096)] | None = Field(
        default=None, description="The longest match, in characters. Default: 256."
    )

    @model_validator(mode="after")
    def _has_expressions(self) -> Self:
        if bool(self.deny) == bool(self.allow):
            raise ValueError("must have one of deny and allow")
        return self


class GuardSchema(Wire):
    """JSON Schemas for a model's output, 2020-12 unless `$schema` names another draft."""

    answer: _Schema | None = Field(
        default=None, description="What the text of an answer must fit. Default: anything."
    )
    tools: dict[Name, _Schema] = Field(
        default_factory=dict,
        description="What the arguments of calls must fit, by the name of the tool. Default:"
        " anything.",
    )

    @model_validator(mode="after")
    def _has_schemas(self) -> Self:
        if self.answer is None and not self.tools:
            raise ValueError("must have one of answer and tools")
        return self


class GuardWebhook(Wire):
    """An HTTP service of your own that checks the texts."""

    url: Annotated[str, AfterValidator(check_url)] = Field(
        description="Where to post the texts: http:// or https://, host, port, path."
    )
    api_key: SecretText | None = Field(
        default=None, description="API key, sent as a Bearer token. Default: no key is sent."
    )
    api_key_from: APIKeySource | None = Field(
        default=None, description="Where to read the API key, instead of apiKey. Default: none."
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
        description="Score from which a category is denied; other categories are not. Default:"
        " categories that the provider flags are denied.",
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
    """Replace each finding by the name of its entity."""

    unmask: bool = Field(
        default=False,
        description="Whether to put the client's own values back into the response. Default:"
        " false.",
    )


class GuardLog(Wire):
    """Report findings, and do nothing else."""


class GuardAction(Wire):
    """The action on a finding: exactly one of the fields."""

    deny: GuardDeny | None = Field(default=None, description="Refuse. Default: no.")
    mask: GuardMask | None = Field(default=None, description="Replace. Default: no.")
    log: GuardLog | None = Field(default=None, description="Report. Default: no.")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(each is not None for each in (self.deny, self.mask, self.log)) != 1:
            raise ValueError("must have one of deny, mask and log")
        return self


class GuardItem(Wire):
    """A check of the texts of requests or responses, and the action on its findings."""

    name: ItemName = Field(description="Name of the guard, unique in its policy. Required.")
    on: Annotated[ListOf[Literal["request", "response"]], Field(min_length=1)] = Field(
        default=("request",),
        description="What to check. Default: request; response for a schema.",
    )
    when: ListOf[RouteMatch] = Field(default=(), description="The calls to check. Default: all.")
    roles: ListOf[Literal["user", "assistant", "system", "developer", "tool"]] | None = Field(
        default=None,
        description="Roles whose messages in a request are checked. Default: every text of it.",
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
        description="Require output to fit a JSON Schema; streams are held back until they end"
        " (extra schema). Default: none.",
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
        " Default: 2s for a webhook, 10s for others.",
    )
    on_failure: Literal["deny", "allow"] | None = Field(
        default=None,
        description="What happens if there is no verdict, for any reason. deny: 503; allow: the"
        " texts pass. Default: deny.",
    )
    window: Annotated[Count, Field(le=1_000_000)] | None = Field(
        default=None,
        description="Characters of a streamed response per verdict; as many are held back."
        " Default: 1000.",
    )
    mode: Literal["before", "concurrent"] | None = Field(
        default=None,
        description="When a request is checked. before: the call waits for the verdict; concurrent:"
        " the call is made meanwhile, and its reply waits for the verdict. Default: before.",
    )
    action: GuardAction = Field(
        default=GuardAction(deny=GuardDeny()),
        description="The action on a finding. Default: deny.",
    )
    shadow: bool = Field(
        default=False, description="Whether to only report what would be done. Default: false."
    )

    @model_validator(mode="after")
    def _is_sensible(self) -> Self:
        kinds = [name for name in _KINDS if getattr(self, name) is not None]
        if len(kinds) != 1:
            *names, last = _KINDS.values()
            raise ValueError(f"must have one of {', '.join(names)} and {last}")
        for field in ("timeout", "on_failure", "window", "mode"):
            if kinds[0] not in _ASKING and getattr(self, field) is not None:
                message = f"is only for guards with one of {', '.join(_ASKING)}"
                raise fault_at((to_camel(field),), message)
        mask = self.action.mask
        if self.json_schema is not None:
            self._is_about_answers()
        if self.mode == "concurrent":
            self._can_be_late()
        if mask is not None and kinds[0] in ("judge", "moderation"):
            message = f"cannot be used: a {kinds[0]} does not say which part of a text is at fault"
            raise fault_at(("action", "mask"), message)
        if self.regex is not None and self.regex.allow:
            if mask is not None:
                message = "cannot be used with regex.allow: what is missing cannot be masked"
                raise fault_at(("action", "mask"), message)
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
            raise fault_at(("action", "mask"), "cannot be used: a schema is about a whole answer")
        if self.roles is not None:
            raise fault_at(("roles",), "are for requests; a schema is about answers")

    def _can_be_late(self) -> None:
        if "request" not in self.on:
            raise fault_at(("mode",), "is about requests; `on` must have request")
        if self.action.mask is not None:
            raise fault_at(("action", "mask"), "cannot be concurrent: the request is sent as it is")
