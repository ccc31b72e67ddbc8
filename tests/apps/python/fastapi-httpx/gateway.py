import os
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{os.environ['PORT']}", http2=True) as client:
        yield {"client": client}


app = FastAPI(lifespan=lifespan)


@app.get("/weather")
async def weather(request: Request):
    answer = await request.state.client.get("/station")
    return {"city": "Oslo", **answer.json()}


@app.get("/station")
async def station():
    return {"degrees": -4}
