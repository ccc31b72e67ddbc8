import numpy
from flask import Flask, jsonify, request

app = Flask(__name__)


@app.post("/solve")
def solve():
    solution = numpy.linalg.solve(request.json["a"], request.json["b"])
    return jsonify(solution.round(6).tolist())
