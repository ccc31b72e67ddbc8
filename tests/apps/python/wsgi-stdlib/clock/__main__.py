import time
from datetime import datetime
from zoneinfo import ZoneInfo

while True:
    print("tick", datetime.now(ZoneInfo("UTC")).isoformat())
    time.sleep(1)
