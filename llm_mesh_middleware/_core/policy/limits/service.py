"""Limits that a service counts: ASM's protocol for token limits.

    before   GET /ratelimit?ratelimit_keys=["gold"]   200 {"allow": true, "description": "why"}
    after    POST /update_ratelimit_record
             {"ratelimit_keys": ["gold"], "prompt_tokens": 4, "completion_tokens": 6,
              "total_tokens": 10}

The second is sent in the background, and only if a provider has reported usage. The service gets
the values of `by` unchanged, because its own rules match them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from ....exceptions import PolicyUnavailable, RateLimitExceeded
from ...flow.call import Call
from ...flow.reply import Flow
from ...limiting.item import Condition, Part
from ...side_calls.service import Service, ServiceAnswer
from ...side_calls.side_call import SideCallFailed
from ...values.decision import Decision, ItemExplanation
from ...values.messages import ClientRequest
from ...values.steps import Body, Spawn, Step
from ...values.usage import Usage

__all__ = ["ServiceLimit", "ServiceLimits"]

# Reports have their own timeout, because that of the call may have passed.
_REPORT_S = 5.0


class _Allowance(msgspec.Struct):
    allow: bool
    description: str = ""


class _Record(
    msgspec.Struct, rename=lambda name: name if name.endswith("keys") else f"{name}_tokens"
):
    """The usage of a call; the last three members are counts of tokens."""

    ratelimit_keys: list[str]
    prompt: int
    completion: int
    total: int


_decode = msgspec.json.Decoder(_Allowance).decode


class ServiceLimit(msgspec.Struct, frozen=True):
    """One item whose service counts; `is_open` says whether calls pass if it cannot be asked."""

    policy: str
    name: str
    service: Service
    by: tuple[Part, ...]
    when: tuple[Condition, ...]
    is_open: bool
    is_shadow: bool

    def key(self, request: ClientRequest) -> str | None:
        """Return the key that the service counts by, None for a request without one."""
        if self.when and not any(match.holds(request) for match in self.when):
            return None
        values = [part.read(request, "") for part in self.by]
        return None if None in values else "/".join(value or "" for value in values)


class ServiceLimits(msgspec.Struct, frozen=True):
    """The limits of a rule that services count."""

    items: tuple[ServiceLimit, ...]

    def __call__(self, call: Call, proceed: Callable[[Call], Flow]) -> Flow:
        """Serve a call that every service allows.

        Raises:
            RateLimitExceeded: one does not.
            PolicyUnavailable: a service does not reply, and the limit requires it.
        """
        keyed = [(item, key) for item in self.items if (key := item.key(call.request)) is not None]
        for item, key in keyed:
            yield from _check(item, key, call)
        if not keyed:
            return (yield from proceed(call))
        call.account.counts_all = True
        used = _Used(call, len(call.account.charges))
        reply = yield from proceed(call)
        if isinstance(reply.body, bytes):
            yield from _report(keyed, used, call)
            return reply
        return replace(reply, body=_reported(reply.body, keyed, used, call))

    def explain(
        self, request: ClientRequest, provider: str, now: float
    ) -> Iterator[ItemExplanation]:
        """Yield for each item whether it applies to a request, and why."""
        for item in self.items:
            key = item.key(request)
            by = ", ".join(str(part) for part in item.by)
            text = f"asks {item.service.host} about the key that {by} make"
            if key is None:
                text = f"the request has no {by}, or no `when` of it matches"
            yield ItemExplanation(
                item.policy, item.name, "service", key is not None, text, provider
            )


def _check(item: ServiceLimit, key: str, call: Call) -> Generator[Step, Any, None]:
    now, service = call.clock(), item.service
    target = f"/ratelimit?ratelimit_keys={quote(msgspec.json.encode([key]))}"
    context = service.context(
        call.deadline,
        now,
        call.request.headers,
        call.mesh_id,
        call.wall_clock,
    )
    answer = yield from service.call("GET", target, b"", context, now)
    is_allowed = _read(answer)
    if is_allowed is None:
        _decide(item, call, "unchecked")
        if not (item.is_open or item.is_shadow):
            raise PolicyUnavailable(f"the limit {item.name!r} cannot be checked now")
    elif is_allowed:
        _decide(item, call, "allowed")
    else:
        _decide(item, call, "shadow_refused" if item.is_shadow else "refused")
        if not item.is_shadow:
            raise RateLimitExceeded(f"the limit {item.name!r} is used up; try again later")


def _read(answer: ServiceAnswer | SideCallFailed) -> bool | None:
    """Return whether the service allows the call; None without a valid reply."""
    if isinstance(answer, SideCallFailed) or answer.status != 200:
        return None
    try:
        return _decode(answer.body).allow
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


class _Used(msgspec.Struct, frozen=True):
    """The usage that providers have reported since a call's first charge."""

    call: Call
    first: int

    def usages(self) -> list[Usage]:
        return self.call.account.counted(self.first, has_side_calls=False)


def _reported(body: Body, keyed: list[tuple[ServiceLimit, str]], used: _Used, call: Call) -> Body:
    try:
        yield from body
    except GeneratorExit:
        raise
    except BaseException:
        yield from _report(keyed, used, call)
        raise
    yield from _report(keyed, used, call)


def _report(
    keyed: list[tuple[ServiceLimit, str]], used: _Used, call: Call
) -> Generator[Step, Any, None]:
    """Report the usage to each service, in the background."""
    usages = used.usages()
    for item, key in keyed if usages else ():
        prompt = sum(usage.input_tokens for usage in usages)
        completion = sum(usage.output_tokens for usage in usages)
        yield Spawn(_record(item, key, prompt, completion, call))


def _record(
    item: ServiceLimit, key: str, prompt: int, completion: int, call: Call
) -> Generator[Step, Any, None]:
    service, now = item.service, call.clock()
    record = _Record([key], prompt, completion, prompt + completion)
    context = call.report_context(now, _REPORT_S)
    body = msgspec.json.encode(record)
    yield from service.call("POST", "/update_ratelimit_record", body, context, now)


def _decide(item: ServiceLimit, call: Call, decision: str) -> None:
    call.account.decided(Decision(item.policy, item.name, "service", decision))
