from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPNotFound

MEALS = {"lunch": "soup & bread"}


def menu(request):
    meal = request.matchdict["meal"]
    if meal not in MEALS:
        raise HTTPNotFound
    return {"meal": MEALS[meal]}


with Configurator() as config:
    config.include("pyramid_mako")
    config.add_route("menu", "/menu/{meal}")
    config.add_view(menu, route_name="menu", renderer="menu:menu.mako")
    app = config.make_wsgi_app()
