"""An application with one line more: requests for the host `chat` are routed by mesh.yaml."""

from pathlib import Path

from fastapi import FastAPI

from llm_mesh_middleware import LLMMeshMiddleware

app = FastAPI()
app.add_middleware(LLMMeshMiddleware, config=Path(__file__).with_name("mesh.yaml"))


@app.get("/")
def index() -> dict[str, str]:
    """Everything that is not for the host `chat` is answered by the application."""
    return {"message": "Hello from the application"}
