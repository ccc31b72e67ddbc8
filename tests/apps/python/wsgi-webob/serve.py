import math
import os

from cheroot.wsgi import Server
from webob.dec import wsgify
from webob.exc import HTTPBadRequest


@wsgify
def factorial(request):
    try:
        return str(math.factorial(int(request.params["n"])))
    except (KeyError, ValueError) as error:
        raise HTTPBadRequest(str(error)) from error


server = Server(("0.0.0.0", int(os.environ["PORT"])), factorial)
try:
    server.start()
finally:
    server.stop()
