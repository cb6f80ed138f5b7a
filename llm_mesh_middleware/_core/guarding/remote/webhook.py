"""A webhook: an HTTP service of the operator that gives verdicts on texts.

    POST  {"policy": "default/team", "guard": "names", "side": "request", "model": "qwen-max",
           "texts": ["I am Anna"]}
    200   {"findings": [{"text": 0, "start": 5, "end": 9, "entity": "PERSON"}]}
    or    {"result": "deny", "entity": "OFF_TOPIC"}
    or    {"result": "allow"}

Positions count Unicode code points. A response that does not fit the texts is not a verdict; it is
treated like a failed call.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Annotated, Any, Literal

import msgspec

from ...provider.credential import Credential
from ...side_calls.side_call import SideCallContext, SideCallFailed, call_whole, make_call
from ...values.endpoint import Endpoint
from ...values.steps import Step
from ..finding import Finding
from .verdict import ALLOWED, InvalidVerdict, Question, Verdict

__all__ = ["Webhook", "read_findings"]

_Entity = Annotated[str, msgspec.Meta(pattern=r"^[A-Z][A-Z0-9_]{0,39}$")]
_Place = Annotated[int, msgspec.Meta(ge=0)]
_HEADERS = ((b"content-type", b"application/json"), (b"accept-encoding", b"identity"))


class _Found(msgspec.Struct):
    text: _Place
    start: _Place
    end: _Place
    entity: _Entity


class _Answer(msgspec.Struct):
    result: Literal["allow", "deny"] | msgspec.UnsetType = msgspec.UNSET
    findings: list[_Found] | msgspec.UnsetType = msgspec.UNSET
    entity: _Entity = "WEBHOOK"


_decode = msgspec.json.Decoder(_Answer).decode


class Webhook(msgspec.Struct, frozen=True):
    """The address of the service, and its credential."""

    endpoint: Endpoint
    target: str
    host: str
    credential: Credential | None = None

    kind = "webhook"

    def ask(self, question: Question, context: SideCallContext) -> Generator[Step, Any, Verdict]:
        """Return the verdict of the service.

        Raises:
            SideCallFailed: there is none in time.
        """
        headers = ((b"host", self.host.encode()), *_HEADERS)
        body = msgspec.json.encode(question)
        request = make_call(self.endpoint, self.target, headers, body, context)
        if self.credential is not None:
            request = yield from self.credential.apply(
                request, context.wall_clock, context.deadline
            )
        head, body = yield from call_whole(request, context)
        if head.status != 200:
            raise SideCallFailed(f"status_{head.status}")
        try:
            answer = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise InvalidVerdict("malformed") from None
        return read_findings(answer, question.texts)


def read_findings(answer: _Answer, texts: list[str] | Any) -> Verdict:
    """Return the verdict in a webhook's response.

    Raises:
        InvalidVerdict: it is empty, contradicts itself, or has positions outside of the texts.
    """
    # Neither a result nor findings: an empty object must not mean "allow".
    if answer.result is msgspec.UNSET and answer.findings is msgspec.UNSET:
        raise InvalidVerdict("malformed")
    found = answer.findings or []
    if found and answer.result == "allow":
        raise InvalidVerdict("malformed")
    findings: dict[int, list[Finding]] = {}
    for each in found:
        # Masking a wrong position would let the real finding pass.
        if each.text >= len(texts) or not each.start < each.end <= len(texts[each.text]):
            raise InvalidVerdict("malformed")
        findings.setdefault(each.text, []).append(Finding(each.start, each.end, each.entity))
    if found:
        return Verdict(findings)
    return Verdict(denied_as=answer.entity) if answer.result == "deny" else ALLOWED
