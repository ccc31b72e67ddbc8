from typing import Annotated

from fastapi import FastAPI, Query

app = FastAPI()


@app.get("/feet")
def feet(metres: Annotated[float, Query(ge=0)]):
    return {"feet": round(metres / 0.3048, 2)}
