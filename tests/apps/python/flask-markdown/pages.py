from pathlib import Path

from flask import Flask, abort
from markdown import markdown

app = Flask(__name__)
CONTENT = Path(__file__).parent / "content"


@app.get("/<name>")
def page(name):
    path = CONTENT / f"{name}.md"
    if not path.is_file():
        abort(404)
    return markdown(path.read_text(), extensions=["tables", "fenced_code", "codehilite"])
