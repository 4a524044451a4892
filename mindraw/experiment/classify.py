"""Classification by glimpses: what it takes, and what it leaves behind."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .. import data
from ..commands import tell
from ..errors import MindrawError
from ..models.attention import Aim
from ..models.classify import Classifier
from ..models.config import ClassifierConfig
from ..nn.aim import AimLoss
from ..training import ClassifyTask
from .options import is_number
from .report import title
from .stages import Staged

#: Options of the data set "cluttered-mnist".
CLUTTER = (
    "digits", "target", "distractors", "distractor_size", "origin", "border", "bend",
)  # fmt: skip
#: More pixels than any picture has.
FARTHEST = 1_000_000
#: How many paths are drawn, and how many mistakes.
PATHS, MISTAKES = 8, 40


@dataclass(frozen=True)
class Classification(Staged):
    """The numbers of a run of the classifier, besides those of `Staged`.

    Parameters
    ----------
    name : str
        What the run's folder is called.
    dataset : str
        What to classify: cluttered-mnist, or any other with labels.
    digits : int
        Whole digits in a cluttered picture.
    target : {"combine", "sum"}
        Of several digits: whether to find their combination or their sum.
    distractors : int
        Crops of digits in a cluttered picture.
    distractor_size : int
        Side of such a crop, in pixels.
    origin : {"own", "train"}
        Distractors are cut out of the digits of the same part, or in both of those to train on.
    border : int
        Pixels at the edge of a cluttered picture that no whole digit touches.
    bend : float
        How far the digits to train on are deformed at random; 0 for not at all.
    glimpses : int
        T, glimpses of each picture.
    h : int
        Units of the LSTM.
    read_n : int
        Side of a glimpse, in filters.
    initial : {"learned", "zeros"}
        The hidden state before the first glimpse.
    first : {"state", "learned"}
        The first glimpse looks where the state says, or has five learned numbers of its own.
    first_every : int or None
        Every how many glimpses one looks where those numbers say again; None for the first alone,
        or in a training that grows for every `grow_from`.
    then_bend : float or None
        How far the digits to train on are deformed in a second training; None for as in the first.
    aim_loss : float
        What it costs a glimpse to look away from the digit while training, in nats; 0 to learn from
        the classes alone, as where it is not known where the digit lies.
    aim_within : float
        From which distance on being farther away counts less, in pixels.
    span : float
        Side of a glimpse before training, in parts of the picture's.
    deviation : float
        Standard deviation of the filters before training, in pixels.
    gain : float
        Intensity of a glimpse before training.
    first_span : float or None
        Side of a learned first glimpse before training, in parts of the picture's; None, here and
        below, for that of the others.
    first_deviation : float or None
        Standard deviation of its filters before training, in pixels.
    first_gain : float or None
        Its intensity before training.
    """

    name: str = "classify"
    dataset: str = "cluttered-mnist"
    digits: int = 1
    target: Literal["combine", "sum"] = "combine"
    distractors: int = 8
    distractor_size: int = 8
    origin: Literal["own", "train"] = "own"
    border: int = 0
    bend: float = 0.0
    glimpses: int = 8
    h: int = 256
    read_n: int = 12
    initial: Literal["learned", "zeros"] = "zeros"
    first: Literal["state", "learned"] = "state"
    first_every: int | None = None
    then_bend: float | None = None
    aim_loss: float = 0.0
    aim_within: float = 20.0
    span: float = 1.0
    deviation: float = 1.0
    gain: float = 1.0
    first_span: float | None = None
    first_deviation: float | None = None
    first_gain: float | None = None

    SECOND = (*Staged.SECOND, "then_bend")
    GROWS, STEPS = "glimpses", "glimpses"

    def settle(self, given):
        """Leave out, or refuse, what is of no use: see `Options.settle`."""
        settled = super().settle(given)
        if "aim_within" in given and not self.aim_loss:
            raise MindrawError("aim_within is for an aim loss: leave it out, or give --aim-loss")
        return settled

    def validate(self):
        """Refuse what no run can be made of; see `Options.validate`."""
        super().validate()
        if self.glimpses < 1:
            raise MindrawError(f"glimpses is {self.glimpses}: it must be at least 1")
        aims = ("span", "deviation", "gain")
        firsts = [f"first_{name}" for name in aims if getattr(self, f"first_{name}") is not None]
        self.require_positive("aim_within", *aims, *firsts)
        if self.then_bend is not None and not (
            is_number(self.then_bend) and 0 <= self.then_bend <= 1
        ):
            raise MindrawError(f"then_bend is {self.then_bend!r}: use a number of 0 to 1")
        if self.aim_within > FARTHEST:
            raise MindrawError(f"aim_within is {self.aim_within!r}: it must be at most {FARTHEST}")
        if not (is_number(self.aim_loss) and self.aim_loss >= 0):
            raise MindrawError(f"aim_loss is {self.aim_loss!r}: it must be a number of at least 0")
        if firsts and self.first != "learned":
            spelled = firsts[0].replace("_", "-")
            raise MindrawError(
                f"{firsts[0]} is for a first glimpse of its own: give --first learned, or "
                f"--{spelled} None"
            )
        self.model_config((1, 28, 28), 10)

    def stages(self):
        """Return the first training, where there are two, and the last; see `Options.stages`."""
        before, own = super().stages()
        if before is None:
            return before, own
        own = own.but(bend=self.second("bend"))
        if self.grow_from is not None and self.first == "learned" and self.first_every is None:
            own = own.but(first_every=self.grow_from)
        return before, own

    def model_config(self, shape, classes):
        """Return the model's configuration for pictures of `shape` (C, H, W)."""
        C, H, W = shape
        return ClassifierConfig(
            H=H, W=W, C=C, T=self.glimpses, h=self.h, read_n=self.read_n, classes=classes,
            initial=self.initial, first=self.first, first_every=self.first_every,
        )  # fmt: skip

    def load(self):
        """Return the `mindraw.data.Dataset`."""
        defaults = type(self)()
        options = {name: getattr(self, name) for name in CLUTTER}
        if self.dataset != defaults.dataset:
            for name in (*CLUTTER, "then_bend"):
                value, default = getattr(self, name), getattr(defaults, name)
                if value == default:
                    continue
                raise MindrawError(
                    f"{name} is for {defaults.dataset}, not for {self.dataset}: give "
                    f"--{name.replace('_', '-')} {default}"
                )
            options = {}
        dataset = data.load(
            self.dataset, data_dir=self.data, seed=self.seed, size=self.size, **options
        )
        if dataset.train.labels is None:
            raise MindrawError(f"{self.dataset} has no labels: there is nothing to classify")
        return dataset

    def build(self, dataset, ops):
        """Return the task, with a model to start from."""
        config = self.model_config(dataset.shape, dataset.classes)
        model = Classifier(config, ops, self.batch, self.threads, self._aim_loss(dataset))
        aim = Aim(self.span, self.deviation, self.gain)
        first = (self.first_span, self.first_deviation, self.first_gain)
        first = Aim(*(other if own is None else own for own, other in zip(first, aim, strict=True)))
        model.initialise(self.seed, self.init_scale, aim, first, self.forget)
        return ClassifyTask(model, dataset, self.seed)

    def sketch(self, task, run, step):
        """Draw how the first test pictures are looked at, and the curves so far."""
        words = title(task.training, f"after {step} minibatches")
        self._paths(task, run.figures / f"glimpses-{step:06d}.png", np.arange(PATHS), words)
        self._curves(task, run)

    def draw(self, task, run):
        """Draw the pictures that a finished run leaves behind."""
        from .. import figures

        folder, found, classes = run.figures, task.guesses(), task.model.config.classes
        self._paths(task, folder / "glimpses.png", np.arange(PATHS), title(task.training))
        self._curves(task, run)
        wrong = np.flatnonzero(found.truth != found.guess)
        error = 100 * len(wrong) / len(found.truth)
        words = f"Test pictures by class: {error:.2f} % are wrong"
        figures.confusion(
            folder / "confusion.png", found.truth, found.guess, classes,
            title(task.training, words),
        )  # fmt: skip
        if not len(wrong):
            return
        # those it was surest of come first
        wrong = wrong[np.argsort(-found.probability[wrong], kind="stable")]
        shown = wrong[:MISTAKES]
        pictures = task.dataset.test.images(shown, 0).reshape(-1, *task.dataset.shape)
        figures.mistakes(
            folder / "mistakes.png", pictures, found.truth[shown], found.guess[shown],
            title(task.training, f"{len(shown)} of {len(wrong)} mistakes, the surest first"),
        )  # fmt: skip
        words = title(task.training, "How it looked at its surest mistakes")
        self._paths(task, folder / "glimpses-mistakes.png", wrong[:PATHS], words)

    def tell(self, task, last):
        """Say what came out; see `Options.tell`."""
        names, measured = ("loss in nats", "error in per cent"), task.measured_in(last)
        summary = {
            f"{split} {words}": last[f"{split}_{name}"]
            for split in ("train", *measured)
            for name, words in zip(task.measures, names, strict=True)
        }
        lines = [
            f"{name + ' error':11}  {last[f'{name}_error']:.2f} % on {len(split)} pictures "
            f"({last[f'{name}_loss']:.4f} nats)"
            for name, split in reversed(measured.items())
        ]
        lines += [
            f"train error  {last['train_error']:.2f} % over the last row of the history "
            f"({last['train_loss']:.4f} nats)",
        ]
        if task.model.aim_loss is not None:
            lines.append("told where to look in training, besides the classes; --aim-loss 0 is not")
        return summary, lines

    def _aim_loss(self, dataset):
        """Return what it costs to look elsewhere, if anything: None where it is not known."""
        if not self.aim_loss:
            return None
        if dataset.train.places([0]) is None:
            tell(
                "mindraw: where to look is known of one digit in cluttered-mnist only: aim_loss is "
                "left out; if the loss does not fall, give a smaller --lr"
            )
            return None
        return AimLoss(self.aim_loss, self.aim_within)

    def _paths(self, task, path, indices, words):
        from .. import figures

        indices = indices[indices < len(task.dataset.test)]
        figures.glimpses(path, *task.paths(indices), title=words)

    def _curves(self, task, run):
        from .. import figures

        figures.classification_curves(run.figures / "curves.png", run.history, title(task.training))
