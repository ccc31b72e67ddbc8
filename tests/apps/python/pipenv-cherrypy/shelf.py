import os

import cherrypy


class Shelf:
    @cherrypy.expose
    @cherrypy.tools.json_in()
    @cherrypy.tools.json_out()
    def total(self):
        return {"total": sum(cherrypy.request.json)}


cherrypy.config.update(
    {
        "environment": "production",
        "log.screen": True,
        "server.socket_host": "0.0.0.0",
        "server.socket_port": int(os.environ["PORT"]),
    }
)
files = {"tools.staticdir.on": True, "tools.staticdir.dir": os.path.join(os.getcwd(), "files")}
cherrypy.quickstart(Shelf(), "/", {"/files": files})
