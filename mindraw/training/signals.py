"""SIGINT, SIGTERM and the loss of the terminal as a wish to stop soon."""

import contextlib
import os
import signal
import threading


class Signals:
    """While this context is entered, a first SIGINT, SIGTERM or SIGHUP is noted, not obeyed.

    After the first the system's own reaction is in force again, so a second one stops
    the process at once. SIGHUP that nohup ignores stays ignored.

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
            numbers = [signal.SIGINT, signal.SIGTERM]
            hangup = getattr(signal, "SIGHUP", None)  # Windows has none
            if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:
                numbers.append(hangup)
            for number in numbers:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, frame):
        self.received = signal.Signals(number)
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)
        # print could have been interrupted within its own buffer
        with contextlib.suppress(OSError):
            os.write(2, b"\nstopping at the next step, to save; once more stops at once\n")
