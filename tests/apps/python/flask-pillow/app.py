import io

from flask import Flask, request, send_file
from PIL import Image, ImageDraw, ImageFont, features

app = Flask(__name__)


@app.get("/badge.png")
def badge():
    image = Image.new("RGB", (200, 60), "navy")
    ImageDraw.Draw(image).text((10, 10), request.args["text"], "white", ImageFont.load_default(32))
    written = io.BytesIO()
    image.save(written, "PNG")
    written.seek(0)
    return send_file(written, "image/png")


@app.get("/formats")
def formats():
    return " ".join(name for name in ("jpg", "webp", "zlib", "freetype2") if features.check(name))
