import asyncio

import tornado
from tornado.options import define, options
from tornado.util import _websocket_mask
from tornado.web import Application, FallbackHandler, RequestHandler
from tornado.wsgi import WSGIContainer

define("port", default=8888)


class Native(RequestHandler):
    async def get(self):
        await asyncio.sleep(0)
        native = not _websocket_mask.__module__.startswith("tornado.util")
        self.write(f"served by tornado, speedups {native}")


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"a WSGI app at {environ['PATH_INFO']}".encode()]


async def main():
    options.parse_command_line()
    wsgi = {"fallback": WSGIContainer(app)}
    Application([("/native", Native), (".*", FallbackHandler, wsgi)]).listen(options.port)
    await asyncio.Event().wait()


asyncio.run(main())
