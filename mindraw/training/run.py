"""The folder of a run, and the lock that keeps it to one process.

::

    config.json     every option
    history.csv     losses, one row per report
    checkpoint.h5   all that is needed to go on
    figures/        pictures
    summary.json    what came out
    before/         a run whose parameters this one started from, where one was trained first
"""

import itertools
import shlex
from pathlib import Path

from ..errors import MindrawError
from ..files import lock, write_json
from .checkpoint import NAME as CHECKPOINT
from .history import parse, whole_lines

#: What its options are called in the folder of a run.
CONFIG = "config.json"
#: What was trained before it, there.
BEFORE = "before"
#: What a run leaves behind that was killed before it wrote its config.json.
UNBORN = {".lock", f"{CONFIG}.new"}


class Run:
    """A run's folder; hold it open while writing to it.

    Parameters
    ----------
    folder : str or pathlib.Path
        Must exist; `create` makes one.

    Raises
    ------
    MindrawError
        If another process is writing to this run, or the folder cannot be written to.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.config = self.folder / CONFIG
        self.history = self.folder / "history.csv"
        self.checkpoint = self.folder / CHECKPOINT
        self.before = self.folder / BEFORE
        self.figures = self.folder / "figures"
        self.summary = self.folder / "summary.json"
        taken = f"{self.folder} is in use: another process is training there"
        self._lock = lock(self.folder / ".lock", taken)

    @classmethod
    def create(cls, folder, config, numbered=False):
        """Make a new run.

        Parameters
        ----------
        folder : str or pathlib.Path
        config : dict
            Written to config.json.
        numbered : bool
            Where the folder is taken, put -2, -3 and so on behind its name instead of
            refusing.

        Raises
        ------
        MindrawError
            If the folder holds something already, or cannot be made.
        """
        for number in itertools.count(1):
            place = _nth(Path(folder), number)
            if _make(place):
                break
            if not numbered:
                raise _taken(place)
        run = cls(place)
        write_json(run.config, config)
        return run

    @classmethod
    def open(cls, folder):
        """Open a run that was made before, to go on with it.

        Raises
        ------
        MindrawError
            If it is not the folder of a run.
        """
        find_config(folder)
        return cls(folder)

    def reached(self):
        """Return the last minibatch of the history, 0 where there is none."""
        try:
            rows = parse(whole_lines(self.history))
            return rows[-1]["step"] if rows else 0
        except (OSError, ValueError, KeyError, MindrawError):
            return 0

    def contents(self):
        """Return the names of what the folder holds by now."""
        paths = (self.figures, self.history, self.checkpoint, self.config, self.summary)
        return [path.name for path in paths if path.exists()]

    def close(self):
        """Let other processes write to this run."""
        if self._lock is not None:
            self._lock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def find_config(folder):
    """Return the path of a run's options.

    Parameters
    ----------
    folder : str or pathlib.Path

    Raises
    ------
    MindrawError
        If it is not the folder of a run.
    """
    if not str(folder) or not is_run(folder):
        name = str(folder) or "''"
        raise MindrawError(f"{name} is not the folder of a run: it holds no {CONFIG}")
    return Path(folder) / CONFIG


def is_run(folder):
    """Tell whether a folder is that of a run."""
    return (Path(folder) / CONFIG).is_file()


def has_begun(folder):
    """Tell whether a run's folder holds a checkpoint to go on from."""
    return (Path(folder) / CHECKPOINT).exists()


def refuse_taken(folder):
    """Raise a `MindrawError` if `Run.create` could not make a run of this folder as it is now."""
    folder = Path(folder)
    if folder.exists() and not _is_unborn(folder):
        raise _taken(folder)


def _taken(folder):
    go_on = f"continue it with --resume {shlex.quote(str(folder))}, or " if is_run(folder) else ""
    return MindrawError(f"{folder} is there already: {go_on}choose another --out")


def _is_unborn(folder):
    return folder.is_dir() and {path.name for path in folder.iterdir()} <= UNBORN


def _nth(folder, number):
    return folder if number == 1 else folder.with_name(f"{folder.name}-{number}")


def _make(folder):
    """Make the folder; return False where something else is in its place."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return _is_unborn(folder)
    except OSError as error:
        raise MindrawError(f"{folder} cannot be made: {error.strerror}") from error
    return True
