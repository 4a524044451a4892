"""SIGINT and SIGTERM as a wish to stop soon."""

import signal
import threading


class Signals:
    """While this context is entered, a first SIGINT or SIGTERM is noted, not obeyed.

    After the first the system's own reaction is in force again, so a second one stops
    the process at once.

    Attributes
    ----------
    received : signal.Signals or None
    """

    def __init__(self):
        self.received = None
        self._before = {}

    def __enter__(self):
        # Python lets only the main thread set handlers
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, frame):
        self.received = signal.Signals(number)
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)
