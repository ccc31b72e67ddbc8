import time

import schedule

schedule.every().second.do(print, "on the hour")
while True:
    schedule.run_pending()
    time.sleep(0.1)
