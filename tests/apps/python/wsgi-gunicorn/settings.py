import os

import hello

bind = [f"0.0.0.0:{os.environ['PORT']}"]
preload_app = True
forwarded_allow_ips = "*"


def post_fork(server, worker):
    hello.worker = "up"
