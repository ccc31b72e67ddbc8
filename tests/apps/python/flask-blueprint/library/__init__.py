from flask import Flask

from .books import books

app = Flask(__name__)
app.register_blueprint(books, url_prefix="/books")
