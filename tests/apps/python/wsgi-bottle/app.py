import os

from bottle import route, run, template


@route("/hello/<name>")
def hello(name):
    return template("<b>hello {{name}}</b>", name=name)


run(host="0.0.0.0", port=int(os.environ["PORT"]), quiet=True)
