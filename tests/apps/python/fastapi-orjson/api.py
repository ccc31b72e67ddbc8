import datetime

import orjson
from fastapi import FastAPI, Response

app = FastAPI()


@app.get("/")
def index():
    kind = "native" if isinstance(orjson.dumps, type(len)) else "python"
    body = orjson.dumps({"kind": kind, "at": datetime.datetime(2026, 3, 2)}, option=orjson.OPT_SORT_KEYS)
    return Response(body, media_type="application/json")
