import os

import cherrypy


class Tree:
    @cherrypy.expose
    def greet(self, name):
        cherrypy.session["name"] = name
        return f"good day {cherrypy.session['name']}"


cherrypy.config.update(
    {
        "environment": "production",
        "engine.autoreload.on": False,
        "log.screen": True,
        "server.socket_host": "0.0.0.0",
        "server.socket_port": int(os.environ["PORT"]),
        "tools.sessions.on": True,
    }
)
cherrypy.quickstart(Tree())
