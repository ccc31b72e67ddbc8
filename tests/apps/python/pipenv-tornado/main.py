import asyncio
import os

from tornado.web import Application, RequestHandler


class Squares(RequestHandler):
    def get(self):
        self.render("squares.html", squares=[n * n for n in range(1, int(self.get_argument("n")) + 1)])

    def post(self):
        self.write("accepted")


async def main():
    app = Application(
        [("/", Squares)], template_path=os.path.dirname(__file__), xsrf_cookies=True, serve_traceback=True
    )
    app.listen(int(os.environ["PORT"]))
    await asyncio.Event().wait()


asyncio.run(main())
