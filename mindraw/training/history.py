"""The history of a run: one row per report, as CSV while it goes.

The columns are step, epoch, then the task's measures of each split, then lr: of a DRAW the
losses in nats, of a classifier the loss in nats and the error in per cent. A split
that was not measured at a row leaves its cells empty. Times are not in it: the history
of a run is the same however often the run was interrupted.
"""

import contextlib
import csv
import io

from ..errors import MindrawError
from ..files import write_whole


class History:
    """The rows so far, and the file that they are appended to.

    Parameters
    ----------
    path : pathlib.Path
        Rewritten with `text`, then appended to.
    columns : sequence of str
        Of a new table.
    text : str
        The CSV to continue, as `text` gave it, with its own columns; "" starts afresh.

    Attributes
    ----------
    columns : tuple of str
    rows : list of dict
        Column to number, None for an empty cell.
    text : str
        The whole file.
    """

    def __init__(self, path, columns, text=""):
        self.path = path
        self.text = text or ",".join(columns) + "\n"
        self.columns = tuple(self.text.partition("\n")[0].split(","))
        self.rows = parse(self.text)
        # a killed run may have written rows, or half a row, beyond its checkpoint
        write_whole(path, self.text.encode())
        self._file = open(path, "a", encoding="utf-8", newline="")

    def append(self, row):
        """Add a row, which the system has when this returns: a killed process loses none.

        Parameters
        ----------
        row : dict of str to number or None
            Columns left out are empty.
        """
        line = ",".join(_cell(row.get(column)) for column in self.columns) + "\n"
        self._file.write(line)
        self._file.flush()
        self.text += line
        self.rows.append({column: row.get(column) for column in self.columns})

    def close(self):
        """Close the file."""
        # every row was flushed; what a full disk refused then is refused again here
        with contextlib.suppress(OSError):
            self._file.close()


def _cell(value):
    if value is None:
        return ""
    # repr gives the shortest text that reads back as the same number
    return repr(value if isinstance(value, int) else float(value))


def whole_lines(path):
    """Return the text of a table, without a last line that its process was killed within.

    Raises
    ------
    MindrawError
        If it is no text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise MindrawError(f"this is not a table: {error}") from error
    return "".join(line for line in lines if line.endswith("\n"))


def parse(text):
    """Return the rows of a history as a list of dict of column to number or None.

    Raises
    ------
    MindrawError
        If the text is not such a table.
    """
    try:
        return [
            {name: _number(cell) for name, cell in row.items()}
            for row in csv.DictReader(io.StringIO(text), strict=True)
        ]
    except (TypeError, ValueError, AttributeError, csv.Error) as error:
        raise MindrawError(f"this is not a table of numbers: {error}") from error


def _number(cell):
    if cell == "":
        return None
    return int(cell) if cell.isdigit() else float(cell)
