import bottle

TODO = []
app = bottle.Bottle()


@app.put("/todo")
def add():
    TODO.append(bottle.request.json["what"])
    return {"todo": TODO}
