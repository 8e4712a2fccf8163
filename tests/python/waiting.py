"""Waiting for a condition, with a deadline: the one place where a test pauses."""

import time

PAUSE = 0.01


def until(what, condition, deadline=30.0):
    """Asks `condition` until it answers something true, which is returned."""
    end = time.monotonic() + deadline
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f"waited {deadline} s in vain for: {what}"
        time.sleep(PAUSE)
