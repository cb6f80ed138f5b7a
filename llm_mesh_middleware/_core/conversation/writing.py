"""The input and the output of the writers of requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NoReturn

import msgspec

from ...exceptions import UnsupportedField
from .parts import ToolCall
from .request import Conversation

__all__ = ["DialectOptions", "Losses", "Stamp", "Written"]

# The most names of lost fields that a client gets.
_MAX_NAMED = 20

_NO_BUDGETS: Mapping[str, int] = {}
_NO_MEMBERS: Mapping[str, Any] = {}


class DialectOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How one provider wants to be asked, apart from model and form.

    Attributes:
        rejects_unsupported: refuse a request rather than drop what the provider's dialect lacks.
        pass_fields: the client's names of fields that are sent as they are.
        max_tokens: the limit of requests that name none, where the dialect needs one.
        max_tokens_field: what a chat provider calls the limit.
        sends_reasoning: whether a chat provider wants its earlier reasoning back.
        has_late_system: whether a chat provider takes instructions after the first turn, too.
        thinking: how a provider with budgets is asked to think.
        budgets: tokens for an effort, where they differ from the usual ones.
        betas: the names of `anthropic-beta` that may pass; None for all.
        version: the version of the API, where the dialect names one.
        own: members that one dialect alone has a place for, where a request has none.
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


class Stamp(msgspec.Struct, frozen=True):
    """What an answer is marked with where its provider gives no mark: the time, and a unique token.

    `model` is the model that was asked for.
    """

    created: int
    token: str
    model: str = ""

    def id(self, prefix: str, number: int | None = None) -> str:
        """Return an id that no other answer has; `number` tells several of one answer apart."""
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
    """Collects what a writer cannot say."""

    __slots__ = ("_conversation", "_names", "_passes", "_rejects", "_target")

    def __init__(self, conversation: Conversation, options: DialectOptions, target: str) -> None:
        """`target` is the provider's dialect, for the words of a refusal."""
        self._conversation = conversation
        self._rejects = options.rejects_unsupported
        self._passes = options.pass_fields
        self._target = target
        self._names: dict[str, None] = {}
        for name in conversation.lost:
            self._note(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The client's names of what was dropped, in order."""
        return tuple(self._names)[:_MAX_NAMED]

    def drop(self, *fields: str) -> None:
        """Note that fields are not sent, each by its neutral name; those that are unset are not."""
        for field in fields:
            if getattr(self._conversation, field, True) not in (None, (), False):
                self._note(self._conversation.name_of(field))

    def drop_named(self, name: str) -> None:
        """Note that something is not sent, by the client's own name."""
        self._note(name)

    def drop_extra(self, known: frozenset[str] = frozenset()) -> None:
        """Note what is in `extra` and is neither quiet nor `known` to the target."""
        for name in self._conversation.extra:
            if name not in known and name not in self._conversation.quiet:
                self._note(name)

    def refuse(self, name: str, why: str = "") -> NoReturn:
        """Refuse the request for a field, by the client's name, that dropping would falsify.

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
