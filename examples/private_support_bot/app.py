"""A support bot whose provider never learns who is asking; mesh.yaml says what is guarded."""

from pathlib import Path

from fastapi import FastAPI

from llm_mesh_middleware import LLMMeshMiddleware

app = FastAPI()
app.add_middleware(LLMMeshMiddleware, config=Path(__file__).with_name("mesh.yaml"))
