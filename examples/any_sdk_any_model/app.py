"""Four official clients, each in its own dialect, on one model that speaks chat completions."""

from pathlib import Path

import httpx
import httpx2
from anthropic import Anthropic
from google import genai
from openai import OpenAI

import llm_mesh_httpx
from llm_mesh_httpx.httpx2 import MeshTransport
from llm_mesh_middleware import Mesh

mesh = Mesh(Path(__file__).with_name("mesh.yaml"))
client = httpx2.Client(transport=MeshTransport(mesh))
older = httpx.Client(transport=llm_mesh_httpx.MeshTransport(mesh))

openai = OpenAI(base_url="http://llm/v1", api_key="unused", http_client=client)
anthropic = Anthropic(base_url="http://llm", api_key="unused", http_client=client)
google = genai.Client(
    api_key="unused", http_options={"base_url": "http://llm", "httpx_client": older}
)

chat = openai.chat.completions.create(model="any", messages=[{"role": "user", "content": "Hello"}])
print("chat:", chat.choices[0].message.content)

response = openai.responses.create(model="any", input="Hello", store=False)
print("responses:", response.output_text)

with anthropic.messages.stream(
    model="any", max_tokens=1000, messages=[{"role": "user", "content": "Hello"}]
) as stream:
    print("messages:", "".join(stream.text_stream))

content = google.models.generate_content(model="any", contents="Hello")
print("gemini:", content.text)

client.close()
older.close()
mesh.close()
