import os
import secrets

from cheroot.wsgi import Server
from webob.dec import wsgify
from webob.exc import HTTPBadRequest


@wsgify
def dice(request):
    sides = int(request.params.get("sides", 6))
    if sides < 1:
        raise HTTPBadRequest("no such dice")
    return f"{1 + secrets.randbelow(sides)} of {sides}"


Server(("0.0.0.0", int(os.environ["PORT"])), dice).safe_start()
