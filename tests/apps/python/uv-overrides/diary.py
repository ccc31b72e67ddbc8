from importlib.metadata import version

from pyramid.config import Configurator


def entry(request):
    return {"day": request.matchdict["day"], "webob": version("webob")}


with Configurator() as config:
    config.add_route("entry", "/entries/{day}")
    config.add_view(entry, route_name="entry", renderer="json")
    app = config.make_wsgi_app()
