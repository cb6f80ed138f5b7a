"""Images and sound that a model has made, in a request, and requests for images."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from tests.translation.fields.outcomes import PNG, URL, Dropped, Outcome, Refused, Sent

__all__ = ["IMAGES"]

DATA = f"data:image/png;base64,{PNG}"
STAND_IN = b64encode(b"skip_thought_signature_validator").decode()
SIGNED = {"extra_content": {"google": {"thought_signature": "c2ln"}}}


def chat(url: str, **more: Any) -> dict[str, Any]:
    image = {"type": "image_url", "index": 0, "image_url": {"url": url}, **more}
    return {
        "messages": [
            {"role": "user", "content": "Draw"},
            {"role": "assistant", "content": "a", "images": [image]},
            {"role": "user", "content": "Bluer"},
        ]
    }


def items(*given: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": "Draw"}, *given]}


def call(**more: Any) -> dict[str, Any]:
    return {"type": "image_generation_call", "id": "ig_1", "status": "completed", **more}


def contents(part: Any, **more: Any) -> dict[str, Any]:
    return {
        "contents": [
            {"role": "user", "parts": [{"text": "Draw"}]},
            {"role": "model", "parts": [{"text": "a"}, part]},
            {"role": "user", "parts": [{"text": "Bluer"}]},
        ],
        **more,
    }


PIXELS = {"inlineData": {"mimeType": "image/png", "data": PNG}}
SVG = {"inlineData": {"mimeType": "image/svg+xml", "data": PNG}}
BLUER = {"text": "Bluer"}
MODEL = {"text": "a", "thoughtSignature": STAND_IN}
OF_CLAUDE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
FORCED = {"tools": [{"type": "image_generation"}], "tool_choice": {"type": "image_generation"}}


def messages(*moved: Any, text: Any = BLUER) -> Sent:
    """The images are the user's, before the text."""
    last = {"role": "user", "content": [*moved, text]}
    return Sent({"messages": [{"role": "user"}, {"role": "assistant"}, last]})


def model(*parts: Any) -> Sent:
    return Sent({"contents": [{}, {"role": "model", "parts": list(parts)}, {"role": "user"}]})


# client, field -> its members, and what becomes of them at each provider.
IMAGES: Mapping[tuple[str, str], tuple[dict[str, Any], Mapping[str, Outcome]]] = {
    ("chat", "image of the assistant"): (
        chat(DATA),
        {
            "messages": messages(OF_CLAUDE),
            "gemini": model(MODEL, PIXELS | {"thoughtSignature": STAND_IN}),
            "bedrock": messages({"image": {"format": "png", "source": {"bytes": PNG}}}),
            "responses": Sent({"input": [{}, {"content": "a"}, call(id=..., result=PNG), {}]}),
            "ollama": Sent({"messages": [{}, {"content": "a"}, {"images": [PNG]}]}),
        },
    ),
    ("chat", "signed image of the assistant"): (
        chat(DATA, **SIGNED),
        {"gemini": model(MODEL, PIXELS | {"thoughtSignature": "c2ln"})},
    ),
    ("chat", "image of the assistant by URL"): (
        chat(URL),
        {
            "messages": messages({"type": "image", "source": {"type": "url", "url": URL}}),
            "gemini": model(MODEL, {"fileData": {"fileUri": URL}, "thoughtSignature": STAND_IN}),
            "bedrock": Dropped("images"),
            "responses": Sent(
                {
                    "input": [
                        *({}, {"content": "a"}),
                        {"content": [{"type": "input_image", "image_url": URL}, BLUER]},
                    ]
                }
            ),
            "ollama": Dropped("images"),
        },
    ),
    ("chat", "modalities"): (
        {"modalities": ["image", "text"]},
        {
            "messages": Refused("modalities"),
            "gemini": Sent({"generationConfig": {"responseModalities": ["IMAGE", "TEXT"]}}),
            "bedrock": Refused("modalities"),
            "responses": Sent({"tools": [{"type": "image_generation"}]}),
            "ollama": Refused("modalities"),
        },
    ),
    ("chat", "form of images"): (
        {"image_config": {"aspect_ratio": "16:9", "image_size": "2K"}},
        {
            "gemini": Sent(
                {"generationConfig": {"imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"}}}
            ),
            "messages": Dropped("image_config"),
            "responses": Dropped("image_config"),
        },
    ),
    ("chat", "unknown form of images"): (
        {"image_config": {"strength": 0.5}},
        {"gemini": Dropped("image_config.strength")},
    ),
    ("chat", "images alone"): ({"modalities": ["image"]}, {"responses": Sent(FORCED)}),
    ("chat", "sound of the assistant"): (
        {
            "messages": [
                {"role": "user", "content": "Speak"},
                {"role": "assistant", "content": None, "audio": {"id": "audio_1"}},
                {"role": "user", "content": "Louder"},
            ]
        },
        dict.fromkeys(("messages", "gemini", "responses"), Dropped("messages.audio")),
    ),
    ("responses", "image that was made"): (
        items(call(result=PNG, output_format="webp"), {"role": "user", "content": "Bluer"}),
        {
            "chat": Sent(
                {
                    "messages": [
                        {
                            "role": "user",
                            "content": [
                                {"type": "text", "text": "Draw"},
                                {"image_url": {"url": f"data:image/webp;base64,{PNG}"}},
                                {"type": "text", "text": "Bluer"},
                            ],
                        }
                    ]
                }
            ),
            "gemini": model(
                {
                    "inlineData": {"mimeType": "image/webp", "data": PNG},
                    "thoughtSignature": STAND_IN,
                }
            ),
        },
    ),
    ("responses", "image that is stored"): (items(call()), {"gemini": Dropped("input")}),
    ("responses", "forced image"): (
        FORCED,
        {
            "chat": Sent({"modalities": ["image"]}),
            "gemini": Sent({"generationConfig": {"responseModalities": ["IMAGE"]}}),
            "messages": Refused("tool_choice"),
        },
    ),
    ("responses", "offered image"): (
        {"tools": [{"type": "image_generation"}, {"type": "function", "name": "f"}]},
        {"gemini": Dropped("tools.image_generation")},
    ),
    ("gemini", "image of the model"): (
        contents(PIXELS),
        {
            "chat": messages({"image_url": {"url": DATA}}),
            "messages": messages(OF_CLAUDE),
            "responses": Sent({"input": [{}, {"content": "a"}, call(id=..., result=PNG), {}]}),
        },
    ),
    ("gemini", "image of the model that others do not take"): (
        contents(SVG),
        {"messages": Dropped("inlineData"), "bedrock": Dropped("inlineData")},
    ),
    ("gemini", "modalities"): (
        {"generationConfig": {"responseModalities": ["TEXT", "Image"]}},
        {
            "chat": Sent({"modalities": ["text", "image"]}),
            "messages": Refused("generationConfig.responseModalities"),
        },
    ),
    ("gemini", "sound"): (
        {"generationConfig": {"responseModalities": ["AUDIO"]}},
        {"chat": Refused("generationConfig.responseModalities")},
    ),
}
