from flask import Blueprint

books = Blueprint("books", __name__)
TITLES = {1: "Dune", 2: "Emma"}


@books.get("/<int:number>")
def book(number):
    if number not in TITLES:
        return {"error": f"no book {number}"}, 404
    return {"title": TITLES[number]}
