from pyramid.authentication import extract_http_basic_credentials
from pyramid.config import Configurator
from pyramid.response import Response
from pyramid.security import Allowed, Denied


class OneUser:
    def identity(self, request):
        given = extract_http_basic_credentials(request)
        return given.username if given and given.password == "sesame" else None

    authenticated_userid = identity

    def permits(self, request, context, permission):
        return Allowed("known") if self.identity(request) else Denied("unknown")

    def remember(self, request, userid, **more):
        return []

    def forget(self, request, **more):
        return []


def desk(request):
    return Response(f"the desk of {request.authenticated_userid}")


with Configurator() as config:
    config.set_security_policy(OneUser())
    config.add_route("desk", "/desk")
    config.add_view(desk, route_name="desk", permission="see")
    app = config.make_wsgi_app()
