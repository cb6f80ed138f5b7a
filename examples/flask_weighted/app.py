"""A Flask application with one line more: `demo-llm-server` is routed by mesh.yaml."""

from pathlib import Path

from flask import Flask

from llm_mesh_flask import LLMMesh

app = Flask(__name__)
app.config["LLM_MESH_CONFIG"] = str(Path(__file__).with_name("mesh.yaml"))
LLMMesh(app)


@app.get("/")
def index() -> dict[str, str]:
    """Everything that is not for `demo-llm-server` is answered by the application."""
    return {"message": "Hello from the application"}
