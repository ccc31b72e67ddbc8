"""Write to every file of a list, and note beside this file what came of it."""

import os

LOG = os.path.join(os.path.dirname(os.path.abspath(__file__)), "attempts.txt")


def write_everywhere(turn, targets):
    with open(LOG, "a") as log:
        for target in targets:
            try:
                with open(target, "a") as file:
                    file.write(turn)
            except OSError as error:
                log.write(f"{turn}\t{target}\t{error.strerror}\n")
            else:
                log.write(f"{turn}\t{target}\twritten\n")
