"""The images and the sound of a model's message; OpenAI's own API has no images there.

| member of a message or a delta | neutral form |
|---|---|
| images: [{image_url: {url}}], as OpenRouter and LiteLLM have it | an image |
| content: [{type: image_url, image_url}] | an image |
| audio: {data, transcript} | its transcript as a text; the sound itself is lost |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ...._core.conversation.parts import Image, Proof
from ...translation.proofs import GEMINI, open_proof, seal
from ...translation.texts import data_url, read_data_url

__all__ = [
    "AudioMember",
    "ExtraContent",
    "ImageMember",
    "ImageURL",
    "google_content",
    "image_members",
    "read_images",
    "read_url",
]


class ImageURL(msgspec.Struct, gc=False):
    """The source of an image."""

    url: str
    detail: str | None = None


class Google(msgspec.Struct, gc=False):
    """The addition of Google's endpoint for this dialect to a call or an image."""

    thought_signature: str | None = None


class ExtraContent(msgspec.Struct, gc=False):
    """The additions of vendors to a call or an image."""

    google: Google | None = None

    @property
    def proof(self) -> Proof | None:
        """The proof of the call or the image."""
        if self.google is None or not self.google.thought_signature:
            return None
        return open_proof(self.google.thought_signature, native=GEMINI)[0]


class ImageMember(msgspec.Struct, gc=False):
    """An image, also as a part of the content."""

    image_url: ImageURL | str | None = None
    extra_content: ExtraContent | None = None


class AudioMember(msgspec.Struct, gc=False):
    """Sound, or a piece of it."""

    data: str | None = None
    transcript: str | None = None


def read_url(given: ImageURL | str) -> Image:
    """Return the image at a URL, which may contain the image itself."""
    url, detail = (given, None) if isinstance(given, str) else (given.url, given.detail)
    if (found := read_data_url(url)) is not None:
        return Image(*found, detail=detail)
    return Image(url=url, detail=detail)


def read_images(members: Iterable[ImageMember]) -> Iterator[Image]:
    """Yield the images of a message."""
    for member in members:
        if member.image_url is None:
            continue
        image, extra = read_url(member.image_url), member.extra_content
        if not (image.data or image.url):
            continue
        if extra is not None and (proof := extra.proof) is not None:
            image = msgspec.structs.replace(image, proof=proof)
        yield image


def image_members(images: Iterable[Image]) -> list[dict[str, Any]]:
    """Return images as items of `images`, numbered as LiteLLM does."""
    return [
        {"type": "image_url", "index": index, "image_url": {"url": _url_of(image)}}
        | ({} if image.proof is None else {"extra_content": google_content(image.proof)})
        for index, image in enumerate(images)
    ]


def _url_of(image: Image) -> str:
    return image.url or data_url(image.media_type, image.data)


def google_content(proof: Proof) -> dict[str, Any]:
    """Return the member for the proof of a call, as in Google's endpoint for this dialect."""
    return {"google": {"thought_signature": seal(proof, native=GEMINI)}}
