from importlib.util import find_spec

import httpx
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route


async def index(request):
    transport = httpx.ASGITransport(app=request.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://probe") as client:
        answer = await client.get("/health")
    return JSONResponse({"status": answer.status_code, "socks": find_spec("socksio") is not None})


def health(request):
    return PlainTextResponse("well")


app = Starlette(routes=[Route("/", index), Route("/health", health)])
