"""When to stop: at a limit in time, or when the caller no longer wants the answer."""

import math
import time


class Clock:
    """seconds: counted from here on. check: called between the steps of every search; what it raises comes through."""

    def __init__(self, seconds=math.inf, check=None):
        self.started, self.seconds, self.check = time.perf_counter(), seconds, check or (lambda: None)

    def left(self):
        """Seconds left, 0 or less past the limit. Calls check."""
        self.check()
        return self.seconds - self.passed()

    def passed(self):
        return time.perf_counter() - self.started
