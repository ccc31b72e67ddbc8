import os

bind = f"0.0.0.0:{os.environ['PORT']}"
threads = 4
preload_app = True
