import sys

import falcon

RATES = {"eur": 1.08}


class Rate:
    def on_get(self, request, response, name):
        response.media = {name: RATES[name]}


def main():
    print(RATES[sys.argv[1]])


app = falcon.App()
app.add_route("/rates/{name}", Rate())
