"""A webhook: an HTTP service of the operator that is asked about texts.

    POST  {"policy": "default/team", "guard": "names", "side": "request", "model": "qwen-max",
           "texts": ["I am Anna"]}
    200   {"findings": [{"text": 0, "start": 5, "end": 9, "entity": "PERSON"}]}
    or    {"result": "deny", "entity": "OFF_TOPIC"}
    or    {"result": "allow"}

Places count Unicode code points. Whatever does not fit the texts is not a verdict; a service that
sends it is treated like one that is away.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Annotated, Any, Literal

import msgspec

from ...asking.side_call import Circumstances, NoAnswer, call_whole, make_call
from ...provider.credential import Credential
from ...values.endpoint import Endpoint
from ...values.steps import Step
from ..finding import Finding
from .verdict import ALLOWED, NoVerdict, Question, Verdict

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
    """Where the service is, and what makes it accept a call."""

    endpoint: Endpoint
    target: str
    host: str
    credential: Credential | None = None

    kind = "webhook"

    def ask(self, question: Question, about: Circumstances) -> Generator[Step, Any, Verdict]:
        """Return the verdict of the service.

        Raises:
            NoAnswer: it gave none in time.
        """
        headers = ((b"host", self.host.encode()), *_HEADERS)
        body = msgspec.json.encode(question)
        request = make_call(self.endpoint, self.target, headers, body, about)
        if self.credential is not None:
            request = yield from self.credential.apply(request, about.wall_clock, about.deadline)
        head, body = yield from call_whole(request, about)
        if head.status != 200:
            raise NoAnswer(f"status_{head.status}")
        try:
            answer = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise NoVerdict("malformed") from None
        return read_findings(answer, question.texts)


def read_findings(answer: _Answer, texts: list[str] | Any) -> Verdict:
    """Return the verdict that an answer is.

    Raises:
        NoVerdict: it says nothing, contradicts itself, or speaks of places that are not there.
    """
    # Neither a verdict nor findings: an empty object must not pass for a yes.
    if answer.result is msgspec.UNSET and answer.findings is msgspec.UNSET:
        raise NoVerdict("malformed")
    found = answer.findings or []
    if found and answer.result == "allow":
        raise NoVerdict("malformed")
    findings: dict[int, list[Finding]] = {}
    for each in found:
        # Masking the wrong place would pass on the right one.
        if each.text >= len(texts) or not each.start < each.end <= len(texts[each.text]):
            raise NoVerdict("malformed")
        findings.setdefault(each.text, []).append(Finding(each.start, each.end, each.entity))
    if found:
        return Verdict(findings)
    return Verdict(denied_as=answer.entity) if answer.result == "deny" else ALLOWED
