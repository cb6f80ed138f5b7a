"""The input and the output of the writers of requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NoReturn, TypeVar

import msgspec

from ...exceptions import UnsupportedField
from .parts import ToolCall
from .request import Conversation

__all__ = ["DialectOptions", "Losses", "Stamp", "Written"]

T = TypeVar("T")

# The most names of lost fields that a client gets.
_MAX_NAMED = 20

_NO_BUDGETS: Mapping[str, int] = {}
_NO_MEMBERS: Mapping[str, Any] = {}


class DialectOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration of requests to one provider, apart from model and form.

    Attributes:
        rejects_unsupported: refuse a request rather than drop fields that the dialect lacks.
        pass_fields: the client's names of fields that are sent unchanged.
        max_tokens: the limit for requests without one, if the dialect requires it.
        max_tokens_field: the name of the limit at a chat provider.
        sends_reasoning: whether a chat provider expects its earlier reasoning.
        has_late_system: whether a chat provider accepts instructions after the first turn.
        thinking: how thinking is requested of a provider with budgets.
        budgets: tokens for an effort, where they differ from the defaults.
        betas: the names of `anthropic-beta` that are forwarded; None for all.
        version: the version of the API, if the dialect has one.
        own: default members that only one dialect has.
        host: the provider's host, where only the provider itself recognises what it has given.
    """

    rejects_unsupported: bool = False
    pass_fields: frozenset[str] = frozenset()
    max_tokens: int = 4096
    max_tokens_field: str = "max_tokens"
    sends_reasoning: bool = False
    has_late_system: bool = False
    thinking: Literal["auto", "adaptive", "budget", "off"] = "auto"
    budgets: Mapping[str, int] = _NO_BUDGETS
    betas: frozenset[str] | None = None
    version: str = ""
    own: Mapping[str, Any] = _NO_MEMBERS
    host: str = ""


class Stamp(msgspec.Struct, frozen=True):
    """The time and a unique token, for members that a provider's answer lacks.

    `model` is the requested model, `host` the provider's; empty if it may be any provider.
    """

    created: int
    token: str
    model: str = ""
    host: str = ""

    def id(self, prefix: str, number: int | None = None) -> str:
        """Return a unique id; `number` distinguishes several ids of one answer."""
        return f"{prefix}{self.token}" + ("" if number is None else f"{number:02x}")


class Written(msgspec.Struct, frozen=True):
    """A request for a provider: the members of its body, and the names of what was dropped.

    The members are merged with the configured defaults and encoded by the caller. `headers` are
    fields that the dialect needs.
    """

    members: dict[str, Any]
    dropped: tuple[str, ...] = ()
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Losses:
    """Collects the fields that a writer cannot express."""

    __slots__ = ("_conversation", "_names", "_passes", "_rejects", "_target")

    def __init__(self, conversation: Conversation, options: DialectOptions, target: str) -> None:
        """`target` is the provider's dialect, for the message of a refusal."""
        self._conversation = conversation
        self._rejects = options.rejects_unsupported
        self._passes = options.pass_fields
        self._target = target
        self._names: dict[str, None] = {}
        for name in conversation.lost:
            self._note(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The client's names of dropped fields, in order."""
        return tuple(self._names)[:_MAX_NAMED]

    def drop(self, *fields: str) -> None:
        """Record that fields are not sent, by their neutral names; unset fields are ignored."""
        for field in fields:
            if getattr(self._conversation, field, True) not in (None, (), False):
                self._note(self._conversation.name_of(field))

    def drop_named(self, name: str) -> None:
        """Record that a field is not sent, by the client's own name."""
        self._note(name)

    def drop_extra(self, known: frozenset[str] = frozenset()) -> None:
        """Record the members of `extra` that are neither quiet nor `known` to the target."""
        for name in self._conversation.extra:
            if name not in known and name not in self._conversation.quiet:
                self._note(name)

    def tier(self, known: Mapping[str, T]) -> T | None:
        """Return the target's value for the service tier; a tier that it lacks is dropped.

        `auto` is the tier of requests without one, and never dropped.
        """
        tier = self._conversation.service_tier
        if tier != "auto" and tier not in known:
            self.drop("service_tier")
        return known.get(tier or "")

    def refuse(self, name: str, why: str = "") -> NoReturn:
        """Refuse the request because of a field that cannot be dropped, by the client's name.

        Raises:
            UnsupportedField: always.
        """
        reason = why or f"cannot be translated to {self._target}"
        raise UnsupportedField(f"{name} {reason}", param=name)

    def refuse_choices(self, at_most: int = 1) -> None:
        """Refuse more choices than the target makes."""
        conversation = self._conversation
        if conversation.n is None or conversation.n <= 1:
            return
        if conversation.n > at_most:
            why = "" if at_most == 1 else f"cannot be more than {at_most}"
            self.refuse(conversation.name_of("n"), why)

    def refuse_logprobs(self) -> None:
        """Refuse probabilities of tokens."""
        if self._conversation.logprobs:
            self.refuse(self._conversation.name_of("logprobs"))

    def refuse_file(self, id: str) -> None:
        """Refuse the id of a file, if there is one: only the provider that keeps it knows it."""
        if id:
            self.refuse("file_id", "is an id of another provider's account")

    def refuse_arguments(self, call: ToolCall) -> NoReturn:
        """Refuse a call of the history whose arguments the provider would refuse."""
        turns = self._conversation.name_of("turns")
        self.refuse(turns, f"has a call of {call.name!r} whose arguments are not a JSON object")

    def _note(self, name: str) -> None:
        if name in self._passes:
            return
        if self._rejects:
            self.refuse(name)
        self._names[name] = None
