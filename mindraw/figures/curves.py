"""The losses and errors of train, validation and test over a run."""

import csv
import math
from pathlib import Path

from ..errors import MindrawError
from . import output

SPLITS = {"train": "#2f6db3", "valid": "#4c9a5f", "test": "#d9622b"}
#: Splits that a history may lack: most data sets have no validation part.
OPTIONAL = {"valid"}
#: What the panels show, and in which units, for a model that draws and for one that classifies.
DRAWING = {"total": "nats per image", "reconstruction": "", "latent": ""}
CLASSIFYING = {"loss": "nats per picture", "error": "per cent"}
#: How far above the axes a panel's name stands, in pixels: the legend fits between.
HEADING = 56


def loss_curves(path, history, title=None):
    """Draw the total loss and its two parts, train, validation and test, over the minibatches.

    Where the first tenth of the run lies far above the rest, the axis leaves it out and
    says at which value the curve starts.

    Parameters
    ----------
    path : str or pathlib.Path
        The PNG to write.
    history : list of dict, str or pathlib.Path
        Rows, or the CSV file that holds them, with the columns step, epoch and
        {train, valid, test}_{total, reconstruction, latent} in nats. Those of valid may be
        missing, the cells of valid and test empty (None or ""), and so may the history.
    title : str, optional

    Returns
    -------
    pathlib.Path

    Raises
    ------
    MindrawError
        If the history is no such table, or the file cannot be written.
    """
    return _curves(path, history, title, DRAWING)


def classification_curves(path, history, title=None):
    """Draw the loss and the error of a classifier, as `loss_curves` does the losses of a DRAW.

    Parameters
    ----------
    path : str or pathlib.Path
        The PNG to write.
    history : list of dict, str or pathlib.Path
        As for `loss_curves`, with the columns step, epoch, {train, valid, test}_loss in nats and
        {train, valid, test}_error in per cent.
    title : str, optional

    Returns
    -------
    pathlib.Path

    Raises
    ------
    MindrawError
        If the history is no such table, or the file cannot be written.
    """
    return _curves(path, history, title, CLASSIFYING)


def _curves(path, history, title, parts):
    """Draw a panel for each part."""
    path = output.check_path(path, ".png")
    rows = _rows(history, parts)
    with output.plain_style():
        head = 50 if title else 0
        figure = output.new_figure(1600, 600 + head)
        panels = figure.subplots(1, len(parts))
        top = 1 - (110 + head) / (600 + head)
        figure.subplots_adjust(left=0.068, right=0.985, bottom=0.145, top=top, wspace=0.2)
        if title:
            figure.suptitle(
                title, x=0.008, y=0.98, ha="left", va="top", fontweight="bold",
                fontsize=output.pixels(26),
            )  # fmt: skip
        for axes, (part, unit) in zip(panels, parts.items(), strict=True):
            _panel(axes, rows, part)
            axes.set_ylabel(unit, fontsize=output.pixels(22))
        epoch = rows[-1]["epoch"] if rows else None
        words = "minibatches" if epoch is None else f"minibatches, up to epoch {round(epoch, 1):g}"
        n = len(panels)
        for axes in panels[(n - 1) // 2 : n // 2 + 1]:  # the middle one, or both
            axes.set_xlabel(words, fontsize=output.pixels(22), labelpad=output.pixels(8))
        return output.save_png(path, output.rasterise(figure))


def _panel(axes, rows, part):
    """Draw one part of the loss, a curve for each split."""
    pixels = output.pixels
    axes.set_title(part, loc="left", fontsize=pixels(24), pad=pixels(HEADING))
    axes.tick_params(labelsize=pixels(20), labelcolor=output.FAINT, length=0, pad=pixels(6))
    axes.grid(color="#e6e6e6", linewidth=pixels(1.5))
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set(color="#b0b0b0", linewidth=pixels(1.5))

    curves = {split: _curve(rows, f"{split}_{part}") for split in SPLITS}
    curves = {split: curve for split, curve in curves.items() if curve[0]}
    if not curves:
        axes.set(xticks=[], yticks=[])
        axes.text(
            0.5, 0.5, "nothing measured yet", ha="center", va="center", transform=axes.transAxes,
            color=output.FAINT, fontsize=pixels(22),
        )  # fmt: skip
        return
    for split, (steps, values) in curves.items():
        axes.plot(
            steps, values, color=SPLITS[split], linewidth=pixels(3), solid_capstyle="round",
            marker="o" if len(steps) <= 25 else None, markersize=pixels(8),
            label=f"{split} {values[-1]:.2f}",
        )  # fmt: skip
    axes.set_xlim(left=0)
    axes.locator_params("x", nbins=5, integer=True)
    axes.locator_params("y", nbins=6)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.ticklabel_format(axis="y", useOffset=False, style="plain")
    _leave_out_the_fall(axes, curves)
    size, handle, gap = (21, 1.2, 1.2) if len(curves) < 3 else (17, 0.8, 0.9)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.03), ncols=len(curves), frameon=False,
        fontsize=pixels(size), borderpad=0, borderaxespad=0, handlelength=handle,
        handletextpad=0.5, columnspacing=gap,
    )  # fmt: skip


def _leave_out_the_fall(axes, curves):
    """Let the axis end above what follows the first tenth, if the start lies far above that."""
    points = [point for curve in curves.values() for point in zip(*curve, strict=True)]
    last = max(step for step, _ in points)
    settled = [value for step, value in points if step >= last / 10]
    start, high = max(value for _, value in points), max(settled)
    low = min(value for _, value in points)
    if len(settled) < 5 or high == low or start - low < 2 * (high - low):
        return
    axes.set_ylim(low - 0.05 * (high - low), high + 0.1 * (high - low))
    axes.set_title(
        f"from {start:.{0 if start >= 10 else 1}f}, off the top", loc="right",
        color=output.FAINT, fontsize=output.pixels(20),
        pad=output.pixels(HEADING),
    )  # fmt: skip


def _curve(rows, column):
    """Return the steps at which a column was measured, and its values there."""
    points = [(row["step"], row[column]) for row in rows if row[column] is not None]
    points = [(step, value) for step, value in points if math.isfinite(value)]
    return [step for step, _ in points], [value for _, value in points]


def _rows(history, parts):
    """Return the rows of a history as dicts of column to float, None where a cell is empty."""
    name = "history"
    if isinstance(history, (str, Path)):
        name = str(history)
        try:
            text = Path(history).read_text(encoding="utf-8")
            history = list(csv.DictReader(text.splitlines()))
        except OSError as error:
            raise MindrawError(f"{name} cannot be read: {error.strerror}") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise MindrawError(f"{name} is not a CSV file: give the history of a run") from error
    columns = ["step", "epoch", *(f"{split}_{part}" for split in SPLITS for part in parts)]
    rows = []
    for number, row in enumerate(history, start=1):
        missing = [name for name in columns if name not in row and _split(name) not in OPTIONAL]
        if missing:
            raise MindrawError(f"row {number} of {name} has no column {missing[0]}")
        rows.append({column: _number(row.get(column), column, number, name) for column in columns})
        step = rows[-1]["step"]
        if step is None or not math.isfinite(step):
            raise MindrawError(f"row {number} of {name} does not say its step")
    return rows


def _split(column):
    return column.partition("_")[0]


def _number(cell, column, number, name):
    if cell is None or cell == "":
        return None
    try:
        return float(cell)
    except (TypeError, ValueError) as error:
        raise MindrawError(
            f"row {number} of {name} has {cell!r} under {column}: it must be a number"
        ) from error
