import os

from flask import Flask, abort

PRICES = {"tea": 3}


def create_app():
    app = Flask(__name__)
    app.config["CURRENCY"] = os.environ.get("CURRENCY", "USD")

    @app.get("/price/<name>")
    def price(name):
        if name not in PRICES:
            abort(404)
        return f"{PRICES[name]} {app.config['CURRENCY']}"

    return app


def prices():
    for name, price in PRICES.items():
        print(f"{name}: {price}")
