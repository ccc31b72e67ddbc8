import asyncio
import os

from tornado.web import Application, RequestHandler


class News(RequestHandler):
    def get(self):
        self.write("nothing new")


async def main():
    Application([("/", News)]).listen(int(os.environ["PORT"]))
    await asyncio.Event().wait()


asyncio.run(main())
