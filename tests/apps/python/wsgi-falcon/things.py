import falcon


def exists(request, response, resource, params):
    if not params["number"]:
        raise falcon.HTTPNotFound(description="no thing 0")


class Thing:
    @falcon.before(exists)
    def on_get(self, request, response, number):
        response.media = {"thing": number}


app = falcon.App()
app.add_route("/things/{number:int}", Thing())
