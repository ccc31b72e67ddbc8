import logging
import time

from django.core.management.base import BaseCommand

log = logging.getLogger("queue_")


class Command(BaseCommand):
    help = "Work off the queue."

    def add_arguments(self, parser):
        parser.add_argument("--once", action="store_true")

    def handle(self, *args, once, **options):
        while True:
            log.info("working off one job")
            if once:
                return
            time.sleep(1)
