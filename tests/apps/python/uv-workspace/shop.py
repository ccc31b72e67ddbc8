from prices import PRICES
from webob import Response
from webob.dec import wsgify


@wsgify
def app(request):
    return Response("".join(f"{name}: {price}\n" for name, price in PRICES.items()))
