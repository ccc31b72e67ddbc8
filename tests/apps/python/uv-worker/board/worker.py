import sys
import time

if "--check" in sys.argv:
    print("all is well")
    sys.exit()
while True:
    print("looking for news")
    time.sleep(1)
