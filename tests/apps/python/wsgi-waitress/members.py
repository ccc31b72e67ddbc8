from pathlib import Path

from mako.lookup import TemplateLookup

pages = TemplateLookup([Path(__file__).parent])


def app(environ, start_response):
    text = pages.get_template("members.txt").render(members=["Ada", "Grace"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]
