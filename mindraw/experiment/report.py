"""What is told of a run."""

import contextlib
import sys

from .. import memory


def title(training, words=None):
    """Return a figure's title, None for none; where a stand-in served as data, it says so.

    Parameters
    ----------
    training : dict
        What a task and its checkpoints know of the training.
    words : str or None
    """
    if not training.get("stand-in"):
        return words
    stand_in = f"trained on a stand-in for {training['dataset']}"
    return f"{words}; {stand_in}" if words else stand_in.capitalize()


def peak_memory():
    """Return the most memory this process held so far, in MB; None where no one knows."""
    with contextlib.suppress(OSError, KeyError):
        # Linux lets ru_maxrss start at what the process that started this one held
        return memory.kilobytes(memory.PROC / "self" / "status")["VmHWM"] / 1e6
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1.024e-3
