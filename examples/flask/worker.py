"""A process type that is up at once: it listens on nothing."""

import time

print("working", flush=True)
while True:
    time.sleep(1)
