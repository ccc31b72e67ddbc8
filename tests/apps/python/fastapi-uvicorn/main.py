import asyncio

from fastapi import FastAPI

app = FastAPI()


@app.get("/squares/{number}")
async def square(number: int):
    return {"square": number * number, "loop": type(asyncio.get_running_loop()).__module__}
