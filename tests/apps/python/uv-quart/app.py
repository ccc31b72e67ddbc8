import asyncio

from quart import Quart

app = Quart(__name__)
counted = asyncio.Event()


async def count():
    await asyncio.sleep(0.05)
    counted.set()


@app.before_serving
async def begin():
    app.add_background_task(count)


@app.get("/")
async def index():
    async def pieces():
        yield "counting\n"
        await counted.wait()
        yield "done\n"

    return pieces()
