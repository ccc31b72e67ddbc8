from pyramid.config import Configurator
from pyramid.view import view_config


@view_config(route_name="home", renderer="string")
def home(request):
    return f"this is {request.registry.settings['home']}"


@view_config(route_name="page", renderer="string")
def page(request):
    return f"this is {request.matchdict['name']}"


def main(global_config, **settings):
    with Configurator(settings=settings) as config:
        config.add_route("home", "/")
        config.add_route("page", "/pages/{name}")
        config.scan()
    return config.make_wsgi_app()
