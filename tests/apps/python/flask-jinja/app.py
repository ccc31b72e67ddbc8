from flask import Flask, render_template, request

app = Flask(__name__)


@app.template_filter()
def shout(text):
    return text.upper()


@app.get("/")
def index():
    return render_template("index.html", name=request.args.get("name", "you"))
