import tempfile
from pathlib import Path

from flask import Flask, request, send_from_directory
from werkzeug.utils import secure_filename


def create():
    app = Flask(__name__)
    kept = Path(tempfile.mkdtemp())

    @app.put("/files/<name>")
    def put(name):
        (kept / secure_filename(name)).write_bytes(request.get_data())
        return "", 201

    @app.get("/files/<name>")
    def get(name):
        return send_from_directory(kept, name)

    return app
