"""A sequence of launches as one CUDA graph: recorded once, and from then on launched as a whole.

A training step of DRAW is some thousand small launches, each of which costs the host more than the
device. What is recorded must do the same at every call: read and write the same memory, wait for
nothing, allocate nothing, and take what changes from arrays, not from numbers; and it must set what
it leaves behind, not add to it, since the call that records it makes it once more.
"""

import functools
import warnings
from contextlib import suppress


@functools.cache
def _stream(make, device):
    """Return the stream to record in: one for each device, since each costs a handle of cuBLAS."""
    return make(non_blocking=True)


class Recording:
    """Launches that are recorded at their second call; the first compiles and allocates."""

    def __init__(self):
        self._calls, self._graph = 0, None

    def run(self, xp, launch):
        """Do what ``launch()`` does.

        Parameters
        ----------
        xp : module
            CuPy.
        launch : callable
            Without arguments; the same launches at every call.

        Warns
        -----
        UserWarning
            Once, if the launches cannot be recorded; they are then made one by one.
        """
        if self._calls == 1:
            self._record(xp, launch)
        self._calls += 1
        if self._graph is None:
            launch()
        else:
            self._graph.launch()

    def _record(self, xp, launch):
        xp.cuda.get_current_stream().synchronize()
        stream = _stream(xp.cuda.Stream, xp.cuda.runtime.getDevice())
        try:
            with stream:
                launch()  # what is needed once for each stream, such as a handle of cuBLAS
                stream.synchronize()
                stream.begin_capture()
                try:
                    launch()
                except BaseException:  # an interrupted stream would go on recording
                    with suppress(Exception):  # what broke the recording is what is told
                        stream.end_capture()
                    raise
                self._graph = stream.end_capture()
        except Exception as error:  # whatever CuPy or the driver cannot do
            warnings.warn(
                f"the step cannot be recorded as a CUDA graph ({error}): it is launched kernel by "
                "kernel, with the same results, and slower",
                stacklevel=2,
            )
