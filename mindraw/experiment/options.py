"""The numbers that every experiment has, and what each kind of experiment adds."""

import dataclasses
import sys
from dataclasses import dataclass
from types import UnionType
from typing import Literal, get_args, get_origin, get_type_hints

from .. import optim
from ..centring import Centring
from ..errors import MindrawError, require_whole
from ..files import read_json
from ..frequencies import Frequencies
from ..training.run import find_config

#: What `updates` may be, and in which coordinates Adam then steps.
COORDINATES = {"plain": (), "centred": (Centring,), "frequencies": (Centring, Frequencies)}
#: Options that are for some schedules alone.
HEEDED_BY = {"lr_floor": ("cosine", "decay"), "lr_decay": ("decay",), "lr_decay_every": ("decay",)}


@dataclass(frozen=True)
class Options:
    """Every number of a run, each an option of the command line.

    A subclass adds those of its model and its data, and says with the methods at the end what
    it trains and what it leaves behind.

    Parameters
    ----------
    name : str
        What the run's folder is called.
    dataset : str
        Which data set to train on.
    data : str or None
        Folder to look for the data in first; None for MINDRAW_DATA, if set. For pictures: a folder
        of PNG and JPEG files, or a .npy, .npz or .h5 file.
    size : int or None
        Side of an image, in pixels, where the data set lets you choose.
    init_scale : float
        The weights start as this times N(0, 1).
    forget : float
        Bias of the forget gates before training.
    start_from : str or None
        A run or a checkpoint whose parameters to start from; its steps may have been fewer or more.
    batch : int
        Pictures per minibatch.
    lr : float
        Adam's learning rate, at the start.
    schedule : {"constant", "cosine", "decay"}
        The learning rate stays, falls along half a cosine until the end, or decays.
    lr_floor : float
        What a falling learning rate ends at.
    lr_decay : float
        What a decaying learning rate is multiplied by each time.
    lr_decay_every : float
        Epochs between two such times.
    lr_warmup : int
        Minibatches over which the rate first rises to what the schedule says.
    aim_rate : float
        What the learning rate is multiplied by for the parameters that say where to look.
    aim_clip : {"together", "apart"}
        The gradient of those parameters is clipped together with all others, or by a norm of its
        own.
    updates : {"plain", "centred", "frequencies"}
        Adam moves the weights as they are, or as if what enters every layer had mean 0, which
        learns faster, or besides as if a glimpse entered by its frequencies.
    beta1 : float
        Adam's beta1.
    clip : float
        The gradient's norm is clipped to this.
    weight_decay : float
        After a step at a learning rate of lr the weights of the LSTMs are 1 - lr * weight_decay of
        what they would be, so that their gates stay between open and shut.
    minibatches : int or None
        Length of the run, unless given in epochs.
    epochs : int or None
        Length of the run, unless given in minibatches.
    report : int
        Minibatches between two rows of the history.
    evaluate : int
        Minibatches between two measurements of the test set, and of the validation set where there
        is one; 0 for one at the end.
    checkpoint : int
        Minibatches between two checkpoints.
    pictures : int
        First pictures after so many minibatches, then after twice as many; 0 for none.
    seed : int
        The weights, the order of the pictures and all noise follow from it.
    threads : int or None
        Processes that share a minibatch, one for each core; None for what suits the machine.
    backend : {"numpy", "numba", "cupy", "auto"}
        What computes; auto takes a GPU where CuPy finds one, else Numba's kernels where that is
        installed.
    dtype : {"float32", "float64"}
        Precision of all arithmetic; float64 takes two to three times as long.
    out : str or None
        The run's folder; None for a new one in runs/.
    """

    name: str = "run"
    dataset: str = "mnist"
    data: str | None = None
    size: int | None = None
    init_scale: float = 0.05
    forget: float = 0.0
    start_from: str | None = None
    batch: int = 100
    lr: float = 0.001
    schedule: Literal["constant", "cosine", "decay"] = "constant"
    lr_floor: float = 0.0
    lr_decay: float = 0.985
    lr_decay_every: float = 0.04
    lr_warmup: int = 0
    aim_rate: float = 1.0
    aim_clip: Literal["together", "apart"] = "together"
    updates: Literal["plain", "centred", "frequencies"] = "plain"
    beta1: float = 0.5
    clip: float = 5.0
    weight_decay: float = 0.0
    minibatches: int | None = None
    epochs: int | None = None
    report: int = 100
    evaluate: int = 1000
    checkpoint: int = 500
    pictures: int = 100
    seed: int = 0
    threads: int | None = None
    backend: Literal["numpy", "numba", "cupy", "auto"] = "auto"
    dtype: Literal["float32", "float64"] = "float32"
    out: str | None = None

    @classmethod
    def of(cls, folder):
        """Return the experiment that a run was made from.

        Parameters
        ----------
        folder : str or pathlib.Path
            Of the run.

        Raises
        ------
        MindrawError
            If it is no run's folder, its config.json is damaged or holds an option that this kind
            of experiment does not have.
        """
        config = find_config(folder)
        settings = read_json(config)
        version = settings.pop("mindraw", "an unknown version")
        names = {field.name for field in dataclasses.fields(cls)}
        for name in sorted(settings.keys() - names):
            raise MindrawError(
                f"{config}: this command does not know the option {name!r}: the run is of another "
                f"kind of experiment, or of another mindraw ({version})"
            )
        # an option that this run does not mention is newer than it, and had its default
        experiment = cls(**settings)
        try:
            experiment.validate()
        except MindrawError as error:
            raise MindrawError(f"{config}: {error}") from error
        return experiment

    def but(self, **numbers):
        """Return a copy in which some numbers are others."""
        return dataclasses.replace(self, **numbers)

    def settle(self, given):
        """Return a copy in which what was given overrules what was not.

        Parameters
        ----------
        given : set of str
            Names of options; the others have the values of a preset, or of a run to go on with.

        Returns
        -------
        Options

        Raises
        ------
        MindrawError
            If something was given that nothing here heeds.
        """
        for name, schedules in HEEDED_BY.items():
            if name in given and self.schedule not in schedules:
                raise MindrawError(
                    f"{name} is for the schedule {' or '.join(schedules)}, and this one is "
                    f"{self.schedule}: leave it out, or give --schedule {schedules[0]}"
                )
        for one, other in (("minibatches", "epochs"), ("epochs", "minibatches")):
            if one in given and other not in given:
                return self.but(**{other: None})
        return self

    def validate(self):
        """Refuse what no run can be made of, before anything is loaded.

        Raises
        ------
        MindrawError
            Naming the option.
        """
        for name, least in (
            ("batch", 1), ("report", 1), ("evaluate", 0), ("checkpoint", 1), ("pictures", 0),
            ("seed", 0), ("minibatches", 1), ("epochs", 1), ("threads", 1), ("size", 1),
            ("lr_warmup", 0),
        ):  # fmt: skip
            value = getattr(self, name)
            if value is None and name in ("minibatches", "epochs", "threads", "size"):
                continue
            require_whole(name, value, least)
        self.require_positive("init_scale", "lr", "aim_rate", "clip", "lr_decay", "lr_decay_every")
        if not is_number(self.forget):
            raise MindrawError(f"forget is {self.forget!r}: it must be a number")
        if not (is_number(self.beta1) and 0 <= self.beta1 < 1):
            raise MindrawError(f"beta1 is {self.beta1!r}: it must lie in [0, 1)")
        self.require_decay_within("lr")
        if not (is_number(self.lr_floor) and 0 <= self.lr_floor <= self.lr):
            raise MindrawError(f"lr_floor is {self.lr_floor!r}: it must lie in [0, lr]")
        if self.lr_decay > 1:
            raise MindrawError(f"lr_decay is {self.lr_decay!r}: it must be at most 1")
        for name in ("data", "out", "start_from"):
            if getattr(self, name) == "":
                raise MindrawError(f"{name} is empty: name a folder or a file, or leave it out")
        if self.minibatches is None and self.epochs is None:
            raise MindrawError("give the length of the run, in minibatches or in epochs")
        if self.minibatches is not None and self.epochs is not None:
            raise MindrawError("give the length of the run in minibatches or in epochs, not both")
        for name, hint in get_type_hints(type(self)).items():
            self._require_type(name, get_args(hint) if get_origin(hint) is UnionType else (hint,))

    def _require_type(self, name, kinds):
        """Refuse what an option cannot be; a config.json may hold anything."""
        value = getattr(self, name)
        for kind in kinds:
            if get_origin(kind) is Literal:
                choices = get_args(kind)
                if value in choices:
                    return
                raise MindrawError(f"{name} is {value!r}: use one of {', '.join(choices)}")
            if kind is float and is_number(value):
                return
            if kind is not float and isinstance(value, kind) and not isinstance(value, bool):
                return
        words = {int: "a whole number", float: "a number", str: "text"}
        expected = " or ".join(words.get(kind, "none") for kind in kinds)
        raise MindrawError(f"{name} is {value!r}: it must be {expected}")

    def require_decay_within(self, name):
        """Refuse a weight decay that leaves nothing of a weight at the learning rate `name`."""
        decay, lr = self.weight_decay, getattr(self, name)
        if not (is_number(decay) and 0 <= decay * lr < 1):
            raise MindrawError(
                f"weight_decay is {decay!r}: it must be at least 0, and {name} times it less than 1"
            )

    def require_positive(self, *names):
        """Refuse an option that is no positive number."""
        for name in names:
            value = getattr(self, name)
            if not (is_number(value) and value > 0):
                raise MindrawError(f"{name} is {value!r}: it must be a positive number")

    def steps(self, per_epoch):
        """Return the length of the run in minibatches."""
        return self.minibatches if self.epochs is None else self.epochs * per_epoch

    def learning_rates(self, per_epoch):
        """Return the schedule: number of the minibatch, from 0, to learning rate."""
        if self.schedule == "cosine":
            rates = optim.cosine(self.lr, self.steps(per_epoch), self.lr_floor)
        elif self.schedule == "decay":
            every = max(1, round(min(self.lr_decay_every * per_epoch, sys.maxsize)))
            rates = optim.decay(self.lr, self.lr_decay, every, self.lr_floor)
        else:
            rates = optim.constant(self.lr)
        return optim.warmed(rates, self.lr_warmup) if self.lr_warmup else rates

    def optimizer(self, model):
        """Return the `mindraw.optim.Adam` that trains a model."""
        return optim.Adam(
            model.parameters, model.ops, lr=self.lr, beta1=self.beta1, clip=self.clip,
            workers=model.workers, rates=self.rates(model), apart=self.apart(model),
            coordinates=[change(model) for change in COORDINATES[self.updates]],
            weight_decay=self.weight_decay,
            decayed=model.gating,
        )  # fmt: skip

    def rates(self, model):
        """Return what the learning rate is multiplied by, for the parameters where it is not 1."""
        return {} if self.aim_rate == 1 else dict.fromkeys(model.aiming, self.aim_rate)

    def apart(self, model):
        """Return the names of the parameters whose gradient is clipped by a norm of its own."""
        return model.aiming if self.aim_clip == "apart" else ()

    # ---------------------------------------------------------------- what an experiment is

    def stages(self):
        """Return what is trained, one after the other.

        Returns
        -------
        before : Options or None
            Trained first, if it is there, in a folder of its own within the run's.
        own : Options
            What the run itself is of; it starts from the parameters of the other. Its pictures may
            be others.
        """
        return None, self

    def load(self):
        """Return the `mindraw.data.Dataset`."""
        raise NotImplementedError

    def build(self, dataset, ops):
        """Return a task for `mindraw.training.Session`, with a model to start from."""
        raise NotImplementedError

    def sketch(self, task, run, step):
        """Draw what shows, after `step` minibatches, how far the training is."""
        raise NotImplementedError

    def draw(self, task, run):
        """Draw the pictures that a finished run leaves behind."""
        raise NotImplementedError

    def tell(self, task, last):
        """Say what came out.

        Parameters
        ----------
        task : task
        last : dict
            The last row of the history.

        Returns
        -------
        summary : dict
            For summary.json.
        lines : list of str
            To print.
        """
        raise NotImplementedError


def is_number(value):
    """Whether a value is a finite number."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and -sys.float_info.max <= value <= sys.float_info.max
