"""The base of limits and budgets: the requests they apply to, and the keys of their counts."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from typing import ClassVar, Literal, Protocol

import msgspec
from msgspec.structs import force_setattr

from ..private import Discreet, Memory
from ..values.messages import ClientRequest

__all__ = ["Condition", "Item", "Kind", "Part"]

Kind = Literal["tokens", "requests", "concurrency", "budget"]
_PLAIN = re.compile(r"[A-Za-z0-9._/-]+")
_MARKS = {"tokens": "t", "requests": "r", "concurrency": "c", "budget": "m"}
# The cache of keys is limited, as clients choose the values.
_MAX_KEYS = 4096
_MAX_LENGTH = 256


class Condition(Protocol):
    """A test of a request, such as a match of a route rule."""

    def holds(self, request: ClientRequest) -> bool:
        """Return whether the request passes."""


_Values = tuple[str | None, ...]
# Returns a request's value of each part of `by`.
_Read = Callable[[ClientRequest, str], _Values]


class Part(msgspec.Struct, frozen=True):
    """One part of `by`: an attribute or header with its name, or the model, provider or host."""

    kind: Literal["attribute", "header", "model", "provider", "host"]
    key: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.key}" if self.key else self.kind

    def read(self, request: ClientRequest, provider: str) -> str | None:
        """Return the request's value, None if it has none."""
        return _READERS[self.kind](self.key)(request, provider)[0]


# Called once for each item, so that a call neither looks up a kind nor makes a list for one value.
_READERS: dict[str, Callable[[str], _Read]] = {
    "attribute": lambda key: lambda request, provider: (request.attributes.get(key),),
    "header": lambda key: lambda request, provider: (request.headers.get(key),),
    "model": lambda key: lambda request, provider: (request.model,),
    "provider": lambda key: lambda request, provider: (provider,),
    "host": lambda key: lambda request, provider: (request.host,),
}


def _read_nothing(request: ClientRequest, provider: str) -> _Values:
    return ()


@lru_cache(maxsize=1024)  # so that items with the same `by` are equal
def _reader(parts: tuple[Part, ...]) -> _Read:
    reads = [_READERS[part.kind](part.key) for part in parts]
    if len(reads) == 1:
        return reads[0]
    if not reads:
        return _read_nothing
    return lambda request, provider: tuple([read(request, provider)[0] for read in reads])


class Item(Discreet, frozen=True, kw_only=True):
    """One item of a policy that counts something.

    `policy` is namespace and name, `name` the item's. `when` is empty for an item that concerns
    every request.
    """

    shown: ClassVar[tuple[str, ...]] = ("policy", "name", "kind", "by", "when", "is_shadow")

    policy: str
    name: str
    kind: Kind
    by: tuple[Part, ...] = ()
    when: tuple[Condition, ...] = ()
    on_missing: Literal["share", "deny", "skip"] = "share"
    on_store_failure: Literal["local", "allow", "deny"] = "local"
    is_shadow: bool = False
    # Whether the end of a call corrects the count; requests stay counted.
    is_settled: bool = True
    # Returns the values of `by`, given a request and a provider.
    values: _Read = _read_nothing
    # A cache of keys by these values.
    keys: Memory[_Values, str] = msgspec.field(default_factory=Memory)

    def __post_init__(self) -> None:
        force_setattr(self, "is_settled", self.kind != "requests")
        force_setattr(self, "values", _reader(self.by))
        force_setattr(self, "keys", Memory())  # a copy with another name has other keys

    @property
    def is_of_attempts(self) -> bool:
        """Whether it is checked for each attempt, since it depends on the provider."""
        return any(part.kind == "provider" for part in self.by)

    @property
    def title(self) -> str:
        """The name of the item in messages."""
        return f"{'budget' if self.kind == 'budget' else 'limit'} {self.name!r}"

    def holds(self, request: ClientRequest) -> bool:
        """Return whether the item applies to the request."""
        return not self.when or any(match.holds(request) for match in self.when)

    def key(self, values: _Values) -> str:
        """Return the key of a count; the values are hashed.

        The braces are a hash tag: a Redis cluster keeps the keys of one item on one node.
        """
        key = self.keys.get(values)
        if key is None:
            key = self._make_key(values)
            if sum(len(value or "") for value in values) <= _MAX_LENGTH:
                if len(self.keys) >= _MAX_KEYS:
                    self.keys.clear()
                self.keys[values] = key
        return key

    def _make_key(self, values: _Values) -> str:
        name = f"{self.policy}/{self.name}"
        if not _PLAIN.fullmatch(name):
            name = blake2b(name.encode(), digest_size=16).hexdigest()
        if values:
            digest = blake2b(digest_size=16)
            for value in values:
                text = b"" if value is None else value.encode("utf-8", "surrogatepass")
                digest.update(b"%d:%s" % (len(text), text))
            name = f"{name}/{digest.hexdigest()}"
        return f"{{{name}}}:{_MARKS[self.kind]}"
