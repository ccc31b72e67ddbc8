import asyncio
import os

from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler


class Page(RequestHandler):
    def get(self):
        self.write("waves")


class Socket(WebSocketHandler):
    def on_message(self, message):
        self.write_message(message)


async def main():
    Application([("/", Page), ("/socket", Socket)]).listen(int(os.environ["PORT"]))
    await asyncio.Event().wait()


asyncio.run(main())
