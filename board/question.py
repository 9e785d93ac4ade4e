"""What a run that is paused waits for."""

import threading
import time

# Until a run goes on by itself after the last that was heard, and until it does if no board asks what there is.
SECONDS, UNSEEN_SECONDS = 60.0, 5.0


class Question:
    """Asked of a browser, by the thread that samples; answered by the server's. answer: the last Answer that was heard, which counts also where
    nobody says more, at first what the inputs say; check: raises ValueError for one that cannot be, see sampling/pause.py."""

    def __init__(self, answer, check):
        self.answer, self.check = answer, check
        self._seen, self._decided = False, threading.Event()
        self._until = time.monotonic() + UNSEEN_SECONDS

    @property
    def seconds_left(self):
        return max(0.0, self._until - time.monotonic())

    def seen(self):
        """A board is there."""
        if not self._seen:
            self.stay()

    def stay(self):
        """Somebody is doing something."""
        self._seen, self._until = True, time.monotonic() + SECONDS

    def go_on(self):
        self._decided.set()

    def over(self, seconds):
        """Whether the run goes on; waits for it so long."""
        return self._decided.wait(seconds) or self.seconds_left == 0
