"""Fields of chat completions, and what each dialect of a provider makes of them."""

from __future__ import annotations

from typing import Any

from tests.translation.fields.forms import (
    AMONG,
    CUSTOM,
    FUNCTION,
    HISTORY,
    INPUT,
    TOOL,
    G,
    choice,
    config,
    inference,
    of_bedrock,
    of_claude,
    of_gemini,
    of_responses,
    said,
)
from tests.translation.fields.outcomes import (
    PDF,
    PNG,
    SCHEMA,
    SILENT,
    URL,
    WAV,
    Dropped,
    Outcome,
    Refused,
    Sent,
)

__all__ = ["CHAT"]


# A field of chat -> what Messages, Gemini, Converse and Responses make of it.
CHAT: dict[str, tuple[dict[str, Any], Outcome, Outcome, Outcome, Outcome]] = {
    "system first": (
        {"messages": [{"role": "developer", "content": "S"}, {"role": "user", "content": "Hi"}]},
        Sent({"system": "S"}),
        Sent({"systemInstruction": {"parts": [{"text": "S"}]}}),
        Sent({"system": [{"text": "S"}]}),
        Sent({"instructions": "S"}),
    ),
    "system later": (
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "system", "content": "S"}]},
        of_claude({"type": "text", "text": "Hi"}, {"type": "text", "text": "S"}),
        of_gemini({"text": "Hi"}, {"text": "S"}),
        of_bedrock({"text": "Hi"}, {"text": "S"}),
        Sent({"input": [{"role": "user", "content": "Hi"}, {"role": "developer", "content": "S"}]}),
    ),
    "name": (
        {"messages": [{"role": "user", "content": "Hi", "name": "Ann"}]},
        *([SILENT] * 4),
    ),
    "refusal of the history": (
        {
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": None, "refusal": "No."},
                {"role": "user", "content": "Why?"},
            ]
        },
        Sent({"messages": [{}, {"content": [{"type": "text", "text": "No."}]}, {}]}),
        Sent({"contents": [{}, {"role": "model", "parts": [{"text": "No."}]}, {}]}),
        Sent({"messages": [{}, {"content": [{"text": "No."}]}, {}]}),
        Sent({"input": [{}, {"role": "assistant", "content": "No."}, {}]}),
    ),
    "image as data": (
        said({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}),
        of_claude(
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": PNG},
            }
        ),
        of_gemini({"inlineData": {"mimeType": "image/png", "data": PNG}}),
        of_bedrock({"image": {"format": "png", "source": {"bytes": PNG}}}),
        of_responses({"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}),
    ),
    "image by URL": (
        said({"type": "image_url", "image_url": {"url": URL}}),
        of_claude({"type": "image", "source": {"type": "url", "url": URL}}),
        of_gemini({"fileData": {"fileUri": URL}}),
        Refused("image_url"),
        of_responses({"type": "input_image", "image_url": URL}),
    ),
    "detail": (
        said(
            {
                "type": "image_url",
                "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"},
            }
        ),
        of_claude({"type": "image"}),
        config(mediaResolution="MEDIA_RESOLUTION_LOW"),
        of_bedrock({"image": {}}),
        of_responses({"type": "input_image", "detail": "low"}),
    ),
    "audio": (
        said({"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}),
        Refused("input_audio"),
        of_gemini({"inlineData": {"mimeType": "audio/wav", "data": WAV}}),
        of_bedrock({"audio": {"format": "wav", "source": {"bytes": WAV}}}),
        Refused("input_audio"),
    ),
    "PDF": (
        said(
            {
                "type": "file",
                "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
            }
        ),
        of_claude(
            {
                "type": "document",
                "title": "a.pdf",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
            }
        ),
        of_gemini({"inlineData": {"mimeType": "application/pdf", "data": PDF}}),
        Sent({"messages": [{"role": "user"}]}),
        of_responses({"type": "input_file", "filename": "a.pdf"}),
    ),
    "file by id": (
        said({"type": "file", "file": {"file_id": "file_1"}}),
        Refused("file_id"),
        Refused("file_id"),
        Refused("file"),
        of_responses({"type": "input_file", "file_id": "file_1"}),
    ),
    "function": (
        {"tools": [TOOL]},
        Sent({"tools": [{"name": "f", "description": "d", "input_schema": SCHEMA}]}),
        Sent(
            {"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": SCHEMA}]}]}
        ),
        Sent({"toolConfig": {"tools": [{"toolSpec": {"inputSchema": {"json": SCHEMA}}}]}}),
        Sent({"tools": [{"type": "function", "name": "f", "parameters": SCHEMA}]}),
    ),
    "custom tool": (
        {"tools": [CUSTOM]},
        Sent({"tools": [{"name": "f", "input_schema": INPUT}]}),
        Sent({"tools": [{"functionDeclarations": [{"parametersJsonSchema": INPUT}]}]}),
        Sent({"toolConfig": {"tools": [{"toolSpec": {"inputSchema": {"json": INPUT}}}]}}),
        Sent({"tools": [{"type": "custom", "name": "f"}]}),
    ),
    "choice auto": (
        choice("auto"),
        Sent({"tool_choice": {"type": "auto"}}),
        Sent({"toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}}),
        Sent({"toolConfig": {"toolChoice": {"auto": {}}}}),
        Sent({"tool_choice": "auto"}),
    ),
    "choice required": (
        choice("required"),
        Sent({"tool_choice": {"type": "any"}}),
        Sent({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}),
        Sent({"toolConfig": {"toolChoice": {"any": {}}}}),
        Sent({"tool_choice": "required"}),
    ),
    "choice none": (
        choice("none"),
        Sent({"tool_choice": {"type": "none"}}),
        Sent({"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}}),
        SILENT,
        Sent({"tool_choice": "none"}),
    ),
    "choice of one": (
        choice({"type": "function", "function": {"name": "f"}}),
        Sent({"tool_choice": {"type": "tool", "name": "f"}}),
        Sent(
            {
                "toolConfig": {
                    "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}
                }
            }
        ),
        Sent({"toolConfig": {"toolChoice": {"tool": {"name": "f"}}}}),
        Sent({"tool_choice": {"type": "function", "name": "f"}}),
    ),
    "choice among some": (
        choice(AMONG, TOOL, G),
        Sent({"tools": [{"name": "f"}], "tool_choice": {"type": "auto"}}),
        Sent(
            {
                "toolConfig": {
                    "functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}
                }
            }
        ),
        Sent({"toolConfig": {"tools": [{"toolSpec": {"name": "f"}}]}}),
        Sent({"tool_choice": {"type": "allowed_tools", "mode": "auto"}}),
    ),
    "no parallel calls": (
        {"tools": [TOOL], "parallel_tool_calls": False},
        Sent({"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}),
        Dropped("parallel_tool_calls"),
        Dropped("parallel_tool_calls"),
        Sent({"parallel_tool_calls": False}),
    ),
    "call and result": (
        HISTORY,
        Sent(
            {
                "messages": [
                    {},
                    {"content": [{"type": "tool_use", "id": "call_1", "input": {"a": "b"}}]},
                    {"content": [{"type": "tool_result", "tool_use_id": "call_1"}]},
                ]
            }
        ),
        Sent(
            {
                "contents": [
                    {},
                    {"parts": [{"functionCall": {"name": "f", "args": {"a": "b"}}}]},
                    {"parts": [{"functionResponse": {"response": {"output": "done"}}}]},
                ]
            }
        ),
        Sent(
            {
                "messages": [
                    {},
                    {"content": [{"toolUse": {"toolUseId": "call_1", "input": {"a": "b"}}}]},
                    {"content": [{"toolResult": {"toolUseId": "call_1"}}]},
                ]
            }
        ),
        Sent(
            {
                "input": [
                    {},
                    {"type": "function_call", "call_id": "call_1", "name": "f"},
                    {"type": "function_call_output", "call_id": "call_1", "output": "done"},
                ]
            }
        ),
    ),
    "limit": (
        {"max_completion_tokens": 7},
        Sent({"max_tokens": 7}),
        config(maxOutputTokens=7),
        inference(maxTokens=7),
        Sent({"max_output_tokens": 7}),
    ),
    "old limit": (
        {"max_tokens": 7},
        Sent({"max_tokens": 7}),
        config(maxOutputTokens=7),
        inference(maxTokens=7),
        Sent({"max_output_tokens": 7}),
    ),
    "temperature": (
        {"temperature": 0.5},
        Sent({"temperature": 0.5}),
        config(temperature=0.5),
        inference(temperature=0.5),
        Sent({"temperature": 0.5}),
    ),
    "high temperature": (
        {"temperature": 1.5},
        Dropped("temperature"),
        config(temperature=1.5),
        Dropped("temperature"),
        Sent({"temperature": 1.5}),
    ),
    "top_p": (
        {"top_p": 0.5},
        Sent({"top_p": 0.5}),
        config(topP=0.5),
        inference(topP=0.5),
        Sent({"top_p": 0.5}),
    ),
    "top_k": (
        {"top_k": 5},
        Sent({"top_k": 5}),
        config(topK=5),
        Sent({"additionalModelRequestFields": {"top_k": 5}}),
        Dropped("top_k"),
    ),
    "stop": (
        {"stop": "."},
        Sent({"stop_sequences": ["."]}),
        config(stopSequences=["."]),
        inference(stopSequences=["."]),
        Dropped("stop"),
    ),
    "n": ({"n": 2}, Refused("n"), config(candidateCount=2), Refused("n"), Refused("n")),
    "n beyond the most": ({"n": 9}, *([Refused("n")] * 4)),
    "n of one": ({"n": 1}, *([SILENT] * 4)),
    "JSON by a schema": (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "o", "schema": SCHEMA, "strict": True},
            }
        },
        Sent({"output_config": {"format": {"type": "json_schema"}}}),
        config(responseMimeType="application/json", responseJsonSchema=SCHEMA),
        Sent({"outputConfig": {"textFormat": {"type": "json_schema"}}}),
        Sent({"text": {"format": {"type": "json_schema", "name": "o", "schema": SCHEMA}}}),
    ),
    "any JSON": (
        {"response_format": {"type": "json_object"}},
        Dropped("response_format"),
        config(responseMimeType="application/json"),
        Dropped("response_format"),
        Sent({"text": {"format": {"type": "json_object"}}}),
    ),
    "effort": (
        {"reasoning_effort": "low"},
        Sent({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
        config(thinkingConfig={"includeThoughts": True, "thinkingBudget": 1024}),
        Sent({"outputConfig": {"effort": "low"}}),
        Sent({"reasoning": {"effort": "low"}}),
    ),
    "no effort": (
        {"reasoning_effort": "none"},
        Sent({"thinking": {"type": "disabled"}}),
        config(thinkingConfig={"thinkingBudget": 0}),
        SILENT,
        Sent({"reasoning": {"effort": "none"}}),
    ),
    "seed": ({"seed": 1}, Dropped("seed"), config(seed=1), Dropped("seed"), Dropped("seed")),
    "frequency_penalty": (
        {"frequency_penalty": 0.5},
        Dropped("frequency_penalty"),
        config(frequencyPenalty=0.5),
        Dropped("frequency_penalty"),
        Dropped("frequency_penalty"),
    ),
    "presence_penalty": (
        {"presence_penalty": 0.5},
        Dropped("presence_penalty"),
        config(presencePenalty=0.5),
        Dropped("presence_penalty"),
        Dropped("presence_penalty"),
    ),
    "logit_bias": ({"logit_bias": {"1": 2}}, *([Dropped("logit_bias")] * 4)),
    "logprobs": (
        {"logprobs": True, "top_logprobs": 2},
        Refused("logprobs"),
        config(responseLogprobs=True, logprobs=2),
        Refused("logprobs"),
        Sent({"top_logprobs": 2, "include": ["message.output_text.logprobs"]}),
    ),
    "user": (
        {"safety_identifier": "u"},
        Sent({"metadata": {"user_id": "u"}}),
        SILENT,
        SILENT,
        Sent({"user": "u"}),
    ),
    "store": ({"store": True}, *([SILENT] * 4)),
    "metadata": (
        {"metadata": {"a": "b"}},
        SILENT,
        SILENT,
        SILENT,
        Sent({"metadata": {"a": "b"}}),
    ),
    "tier": (
        {"service_tier": "default"},
        Sent({"service_tier": "standard_only"}),
        Sent({"serviceTier": "standard"}),
        Sent({"serviceTier": {"type": "default"}}),
        Sent({"service_tier": "default"}),
    ),
    "tier of one vendor": (
        {"service_tier": "flex"},
        Dropped("service_tier"),
        Sent({"serviceTier": "flex"}),
        Sent({"serviceTier": {"type": "flex"}}),
        Sent({"service_tier": "flex"}),
    ),
    "prediction": (
        {"prediction": {"type": "content", "content": "x"}},
        *([SILENT] * 4),
    ),
    "verbosity": (
        {"verbosity": "low"},
        Dropped("verbosity"),
        Dropped("verbosity"),
        Dropped("verbosity"),
        Sent({"text": {"verbosity": "low"}}),
    ),
    "cache key": ({"prompt_cache_key": "k"}, *([SILENT] * 4)),
    "audio out": ({"modalities": ["audio"]}, *([Refused("modalities")] * 4)),
    "web search": ({"web_search_options": {}}, *([Refused("web_search_options")] * 4)),
    "functions of 2023": ({"functions": [FUNCTION]}, *([Refused("functions")] * 4)),
    "unknown": ({"some_field": 1}, *([Dropped("some_field")] * 4)),
}
