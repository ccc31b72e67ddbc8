import os

import httpx
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def ping(request):
    async with httpx.AsyncClient(http1=False, http2=True) as client:
        answer = await client.get(f"http://127.0.0.1:{os.environ['PORT']}/pong")
    return PlainTextResponse(f"{answer.text} by {answer.http_version}")


def pong(request):
    return PlainTextResponse("pong")


app = Starlette(routes=[Route("/", ping), Route("/pong", pong)])
