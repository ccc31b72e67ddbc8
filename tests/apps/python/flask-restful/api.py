from flask import Flask
from flask_restful import Api, Resource, reqparse

app = Flask(__name__)
api = Api(app)
parser = reqparse.RequestParser()
parser.add_argument("times", type=int, required=True, help="how often, as a number")


class Sum(Resource):
    def get(self, first, second):
        return {"sum": first + second}

    def post(self, first, second):
        return {"sum": (first + second) * parser.parse_args()["times"]}, 201


api.add_resource(Sum, "/sums/<int:first>/<int:second>")
