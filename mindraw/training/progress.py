"""Progress: a bar of tqdm in a terminal, a line now and then elsewhere."""

import contextlib
import sys
import time

#: Seconds between two lines where there is no terminal.
PAUSE = 15.0


def progress(total, step=0, stream=None):
    """Return a `Bar` where the stream is a terminal and tqdm is installed, else `Lines`.

    Parameters
    ----------
    total, step : int
        Minibatches in all, and done before.
    stream : file or None
        None for stderr.
    """
    stream = stream or sys.stderr
    if stream is not None and stream.isatty():
        with contextlib.suppress(ImportError), unread():
            from tqdm import tqdm

            bar = tqdm(total=total, initial=step, file=stream, unit="mb", dynamic_ncols=True)
            return Bar(bar)
    return Lines(total, step, stream)


class Bar:
    """A bar of tqdm with the latest losses behind it."""

    def __init__(self, bar):
        self._bar = bar
        self._losses = {}

    def advance(self):
        """Count one minibatch."""
        with unread():
            self._bar.update()

    def report(self, row):
        """Show a row of the history."""
        self._losses.update(losses_of(row))
        with unread():
            self._bar.set_postfix_str(sentence(self._losses))

    def close(self):
        """Leave the bar as it is."""
        with unread():
            self._bar.close()


class Lines:
    """A plain line at the first report, at the last, and every 15 seconds between."""

    def __init__(self, total, step, stream):
        self._total, self._step, self._stream = total, step, stream
        self._start = self._printed = time.monotonic()
        self._first = step
        self._losses = {}

    def advance(self):
        """Count one minibatch."""
        self._step += 1

    def report(self, row):
        """Print a row of the history, unless one was printed just now."""
        now = time.monotonic()
        self._losses.update(losses_of(row))
        first = self._printed == self._start
        if not (first or self._step >= self._total or now - self._printed >= PAUSE):
            return
        self._printed = now
        pace = (now - self._start) / max(1, self._step - self._first)
        left = pace * (self._total - self._step) / 60
        if self._stream is None:
            return
        with unread():
            print(
                f"minibatch {self._step}/{self._total}: {sentence(self._losses)} "
                f"({1000 * pace:.0f} ms each, {left:.1f} minutes left)",
                file=self._stream,
                flush=True,
            )

    def close(self):
        """Nothing is left open."""


def unread():
    """Go on where nobody reads the progress: a closed pipe, a lost terminal, a full disk."""
    return contextlib.suppress(OSError)


def losses_of(row):
    """Return the first loss of each split that the row holds, split to number."""
    losses = {}
    for column, value in row.items():
        split, _, measure = column.partition("_")
        if measure and value is not None:
            losses.setdefault(split, value)
    return losses


def sentence(losses):
    """Return for instance "train 102.31, test 103.95"."""
    return ", ".join(f"{split} {value:.2f}" for split, value in losses.items())
