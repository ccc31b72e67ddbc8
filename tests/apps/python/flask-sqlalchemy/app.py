from flask import Flask, jsonify, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.pool import StaticPool

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
db = SQLAlchemy(app)


class Note(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


with app.app_context():
    db.create_all()


@app.post("/notes")
def add():
    note = Note(text=request.get_data(as_text=True))
    db.session.add(note)
    db.session.commit()
    return str(note.id)


@app.get("/notes")
def notes():
    return jsonify(db.session.scalars(db.select(Note.text).order_by(Note.id)).all())
