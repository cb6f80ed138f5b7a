"""The members of generated content that the mesh reads."""

from __future__ import annotations

import msgspec

from ...._core.conversation.parts import Citation
from ..usage import GeminiUsage

__all__ = [
    "Blob",
    "Candidate",
    "Content",
    "Feedback",
    "FunctionCall",
    "LogprobsResult",
    "Part",
    "Response",
    "TokenMember",
]


class FunctionCall(msgspec.Struct, gc=False):
    """A call; its arguments come whole."""

    name: str = ""
    id: str | None = None
    args: msgspec.Raw = msgspec.Raw(b"{}")


class Blob(msgspec.Struct, rename="camel", gc=False):
    """A file, as base64 data or behind a URI."""

    mime_type: str = ""
    data: str = ""
    file_uri: str = ""


class Part(msgspec.Struct, rename="camel", gc=False):
    """A part of the model's content."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None
    file_data: Blob | None = None
    executable_code: object = None


class Content(msgspec.Struct, gc=False):
    """The model's content."""

    parts: list[Part] | None = None


class TokenMember(msgspec.Struct, rename="camel", gc=False):
    """One token of an answer."""

    token: str = ""
    log_probability: float = 0.0


class TopMember(msgspec.Struct, gc=False):
    """The likeliest tokens of one place."""

    candidates: list[TokenMember] | None = None


class LogprobsResult(msgspec.Struct, rename="camel", gc=False):
    """Probabilities of the tokens of an answer, or of one event of it."""

    chosen_candidates: list[TokenMember] | None = None
    top_candidates: list[TopMember] | None = None


class Source(msgspec.Struct, gc=False):
    """A source of a text."""

    uri: str = ""
    title: str | None = None


class CitationMetadata(msgspec.Struct, rename="camel", gc=False):
    """What the text quotes; Vertex AI has the shorter name."""

    citation_sources: list[Source] | None = None
    citations: list[Source] | None = None


class GroundingChunk(msgspec.Struct, gc=False):
    """What a search has found."""

    web: Source | None = None


class GroundingMetadata(msgspec.Struct, rename="camel", gc=False):
    """What the text is based on."""

    grounding_chunks: list[GroundingChunk] | None = None


class Candidate(msgspec.Struct, rename="camel", gc=False):
    """One answer."""

    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    logprobs_result: LogprobsResult | None = None
    citation_metadata: CitationMetadata | None = None
    grounding_metadata: GroundingMetadata | None = None

    @property
    def has_sources(self) -> bool:
        """Whether it may name sources."""
        return self.citation_metadata is not None or self.grounding_metadata is not None

    def sources(self) -> dict[str, Citation]:
        """Return the sources with a URL, by the URL; each is named several times."""
        quoted, based = self.citation_metadata, self.grounding_metadata
        found = [*(quoted.citation_sources or ()), *(quoted.citations or ())] if quoted else []
        found += [chunk.web for chunk in (based and based.grounding_chunks) or () if chunk.web]
        return {one.uri: Citation(one.uri, one.title or "") for one in found if one.uri}


class Feedback(msgspec.Struct, rename="camel", gc=False):
    """The refusal of a prompt."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class Response(msgspec.Struct, rename="camel", gc=False):
    """A whole answer, or one event of it."""

    response_id: str | None = None
    model_version: str | None = None
    candidates: list[Candidate] | None = None
    prompt_feedback: Feedback | None = None
    usage_metadata: GeminiUsage | None = None
    error: object = None
