"""DRAW: what it takes, and what it leaves behind."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .. import data
from ..data.dataset import spread
from ..errors import MindrawError
from ..models.attention import Aim
from ..models.config import DrawConfig
from ..models.draw import Draw
from ..models.segments import Segments
from ..training import DrawTask
from ..training.draw import windows
from ..training.nearest import nearest
from .report import title
from .stages import Staged

#: How many generations a GIF with rectangles shows, and how many get a neighbour.
FRAMED, NEIGHBOURS = 36, 20


@dataclass(frozen=True)
class Experiment(Staged):
    """The numbers of a run of DRAW, besides those of `Staged`.

    Parameters
    ----------
    name : str
        What the run's folder is called.
    dataset : str
        What to draw, one of `mindraw.data.names()`: mnist, or pictures for your own.
    binarise : {"none", "fixed", "stochastic"}
        Grey values as they are, thresholded at random once, or afresh every epoch.
    T : int
        Steps of drawing.
    h_enc : int
        Units of the encoder's LSTM.
    h_dec : int
        Units of the decoder's LSTM.
    z : int
        Latent units per step.
    read_n : int or None
        Side of the read glimpse, in filters; None, here and below, for no attention.
    write_n : int or None
        Side of the write glimpse, in filters.
    initial : {"learned", "zeros"}
        The canvas and the hidden states before the first step.
    canvas : {"grey", "mean"}
        Where a learned first canvas starts: at 0, or at the mean of the training pictures.
    filters : {"narrow", "broad"}
        How attention starts: with filters of a standard deviation of one pixel, or of half the
        distance between them.
    recompute : int or None
        Steps held in memory at a time; those before are computed again in the backward pass. None
        holds all T.
    """

    name: str = "draw"
    dataset: str = "mnist"
    binarise: Literal["none", "fixed", "stochastic"] = "none"
    T: int = 20
    h_enc: int = 256
    h_dec: int = 256
    z: int = 10
    read_n: int | None = None
    write_n: int | None = None
    initial: Literal["learned", "zeros"] = "learned"
    canvas: Literal["grey", "mean"] = "grey"
    filters: Literal["narrow", "broad"] = "narrow"
    recompute: int | None = None

    def validate(self):
        """Refuse what no run can be made of; see `Options.validate`."""
        super().validate()
        config = self.model_config((1, 28, 28))
        Segments(config.T, self.recompute)
        if self.canvas == "mean" and self.initial == "zeros":
            raise MindrawError(
                "canvas mean is for a learned first canvas: give initial learned, or canvas grey"
            )
        if self.filters == "broad" and not config.attention:
            raise MindrawError("filters broad is for attention: give read_n and write_n")
        for name in ("aim_rate", "aim_clip", "then_aim_rate"):
            if getattr(self, name) != getattr(Staged, name) and not config.attention:
                raise MindrawError(f"{name} is for attention: give read_n and write_n")
        if self.updates == "frequencies" and not config.attention:
            raise MindrawError(
                "updates frequencies is for attention: give read_n and write_n, or updates centred"
            )

    def stages(self):
        """Return the first training, where there are two, and the last; see `Options.stages`."""
        before, own = super().stages()
        if before is not None and self.recompute is not None:
            before = before.but(recompute=min(self.recompute, before.T))
        return before, own

    def model_config(self, shape):
        """Return the model's configuration for images of `shape` (C, H, W)."""
        C, H, W = shape
        return DrawConfig(
            H=H, W=W, C=C, T=self.T, h_enc=self.h_enc, h_dec=self.h_dec, z=self.z,
            read_n=self.read_n, write_n=self.write_n, initial=self.initial,
        )  # fmt: skip

    def load(self):
        """Return the `mindraw.data.Dataset`."""
        return data.load(
            self.dataset,
            data_dir=self.data,
            binarise=self.binarise,
            seed=self.seed,
            size=self.size,
        )

    def build(self, dataset, ops):
        """Return the task, with a model to start from."""
        config = self.model_config(dataset.shape)
        model = Draw(config, ops, self.batch, self.threads, self.recompute)
        start = {}
        if self.filters == "broad":
            side = max(model.config.H, model.config.W)
            start["read"] = Aim.broad(self.read_n, side)
            start["write"] = Aim.broad(self.write_n, side)
        if self.canvas == "mean":
            start["canvas"] = mean_logits(dataset.train)
        model.initialise(self.seed, self.init_scale, forget=self.forget, **start)
        return DrawTask(model, dataset, self.seed)

    def sketch(self, task, run, step):
        """Draw generations, and the losses so far."""
        from .. import figures

        figures.canvases(
            run.figures / f"generations-{step:06d}.png", task.generations(),
            title=title(task.training, f"after {step} minibatches"), windows=_written(task),
        )  # fmt: skip
        figures.loss_curves(run.figures / "losses.png", run.history, title(task.training))

    def draw(self, task, run):
        """Draw the pictures that a finished run leaves behind."""
        from .. import figures

        folder, words = run.figures, title(task.training)
        figures.canvases(
            folder / "generations.png", task.generations(), words, windows=_written(task)
        )
        x, canvases = task.reconstructions()
        attended = windows(task.model, len(x))
        figures.reconstructions(folder / "reconstructions.png", x, canvases, words, attended)
        figures.animate(folder / "reconstructions.gif", canvases, title=words, windows=attended)
        many = task.generations(100)
        figures.samples(folder / "samples.png", many[-1], words)
        # with rectangles, fewer and larger
        n = FRAMED if task.model.config.attention else 100
        figures.animate(
            folder / "samples.gif",
            many[:, :n],
            title=words,
            windows=_written(task, min(n, many.shape[1])),
        )
        drawn = many[-1, :NEIGHBOURS]
        neighbours, _ = nearest(drawn, task.dataset.train)
        figures.nearest(
            folder / "nearest.png", drawn, neighbours,
            title(task.training, "Drawn, and the nearest training image"),
        )  # fmt: skip
        figures.loss_curves(folder / "losses.png", run.history, words)

    def tell(self, task, last):
        """Say what came out; see `Options.tell`."""
        measured = task.measured_in(last)
        losses = {
            f"{name}_{loss}": last[f"{name}_{loss}"]
            for name in ("train", *measured)
            for loss in task.measures
        }
        lines = [
            f"{name + ' bound':11}  {last[f'{name}_total']:.2f} nats (reconstruction "
            f"{last[f'{name}_reconstruction']:.2f}, latent {last[f'{name}_latent']:.2f}) "
            f"on {len(split)} images"
            for name, split in reversed(measured.items())
        ]
        lines += [f"train bound  {last['train_total']:.2f} nats over the last row of the history"]
        return {"losses in nats": losses}, lines


def mean_logits(split, n=10_000):
    """Return the logits of a split's mean picture, float64 (D,), each mean within [0.01, 0.99].

    Parameters
    ----------
    split : mindraw.data.Split
    n : int
        Pictures to take, evenly over the split.
    """
    chosen = spread(split, n)
    total = 0.0
    for start in range(0, len(chosen), 100):
        total += split.images(chosen[start : start + 100], 0).sum(axis=0, dtype=np.float64)
    mean = np.clip(total / len(chosen), 0.01, 0.99)
    return np.log(mean / (1 - mean))


def _written(task, n=10):
    """Return where the first n of the last generations were written."""
    return windows(task.model, min(n, task.batch), ["write"])
