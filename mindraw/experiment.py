"""An experiment from its numbers to its summary: what the scripts in examples/ call."""

import argparse
import contextlib
import dataclasses
import importlib.util
import io
import math
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import __version__, data
from .backend import get_backend
from .errors import MindrawError
from .models.draw import Draw, DrawConfig
from .optim import Adam
from .training import DrawTask, Plan, Run, Session
from .training.draw import windows as attended
from .training.nearest import nearest

#: How many generations a GIF with rectangles shows, and how many get a neighbour.
FRAMED, NEIGHBOURS = 36, 20

#: What may differ from before when a run is continued.
MAY_CHANGE = {
    "minibatches", "epochs", "lr", "clip", "report", "evaluate", "checkpoint", "pictures",
    "data", "threads", "backend",
}  # fmt: skip


@dataclass(frozen=True)
class Experiment:
    """Every number of a run, each an option of the command line.

    Parameters
    ----------
    name : str
        What the run's folder is called.
    dataset : str
        What to draw: mnist, fashion-mnist, binarized-mnist, two-digits, svhn or cifar10.
    data : str or None
        Folder to look for the data in first; None for MINDRAW_DATA, if set.
    size : int or None
        Side of an image, in pixels, where the data set lets you choose: two-digits.
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
    init_scale : float
        The weights start as this times N(0, 1).
    batch : int
        Pictures per minibatch.
    lr : float
        Adam's learning rate.
    beta1 : float
        Adam's beta1.
    clip : float
        The gradient's norm is clipped to this.
    minibatches : int or None
        Length of the run, unless given in epochs.
    epochs : int or None
        Length of the run, unless given in minibatches.
    report : int
        Minibatches between two rows of the history.
    evaluate : int
        Minibatches between two measurements of the test set; 0 for one at the end.
    checkpoint : int
        Minibatches between two checkpoints.
    pictures : int
        First pictures after so many minibatches, then after twice as many; 0 for none.
    seed : int
        The weights, the order of the pictures and all noise follow from it.
    threads : int or None
        Threads that share a minibatch; None for what suits the machine.
    backend : {"numpy", "cupy", "auto"}
        Where to compute; auto takes a GPU where CuPy finds one.
    out : str or None
        The run's folder; None for a new one in runs/.
    """

    name: str = "draw"
    dataset: str = "mnist"
    data: str | None = None
    size: int | None = None
    binarise: Literal["none", "fixed", "stochastic"] = "none"
    T: int = 20
    h_enc: int = 256
    h_dec: int = 256
    z: int = 10
    read_n: int | None = None
    write_n: int | None = None
    initial: Literal["learned", "zeros"] = "learned"
    init_scale: float = 0.05
    batch: int = 100
    lr: float = 0.001
    beta1: float = 0.5
    clip: float = 5.0
    minibatches: int | None = None
    epochs: int | None = None
    report: int = 100
    evaluate: int = 1000
    checkpoint: int = 500
    pictures: int = 100
    seed: int = 0
    threads: int | None = None
    backend: Literal["numpy", "cupy", "auto"] = "auto"
    out: str | None = None

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
        ):  # fmt: skip
            value = getattr(self, name)
            if value is None and name in ("minibatches", "epochs", "threads", "size"):
                continue
            if not isinstance(value, int) or value < least:
                raise MindrawError(
                    f"{name} is {value!r}: it must be a whole number of at least {least}"
                )
        for name in ("init_scale", "lr", "clip"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0 < value < math.inf):
                raise MindrawError(f"{name} is {value!r}: it must be a positive number")
        if not (isinstance(self.beta1, int | float) and 0 <= self.beta1 < 1):
            raise MindrawError(f"beta1 is {self.beta1!r}: it must lie in [0, 1)")
        if (self.minibatches is None) == (self.epochs is None):
            raise MindrawError("give the length of the run in minibatches or in epochs, not both")
        self.model_config((1, 28, 28))

    def model_config(self, shape):
        """Return the model's configuration for images of `shape` (C, H, W)."""
        C, H, W = shape
        return DrawConfig(
            H=H, W=W, C=C, T=self.T, h_enc=self.h_enc, h_dec=self.h_dec, z=self.z,
            read_n=self.read_n, write_n=self.write_n, initial=self.initial,
        )  # fmt: skip

    def steps(self, per_epoch):
        """Return the length of the run in minibatches."""
        return self.minibatches if self.epochs is None else self.epochs * per_epoch


def main(presets, argv=None, finish=None):
    """Run an experiment from the command line.

    Parameters
    ----------
    presets : dict of str to Experiment
        The first is the default.
    argv : list of str or None
        None for what the process was called with.
    finish : callable or None
        Called as finish(task, run) when a finished run has drawn its pictures, to draw more.

    Returns
    -------
    int
        0 when the run is complete; 2 after an error, told in one sentence; 130 or 143
        when SIGINT or SIGTERM stopped it (128 and the signal's number, as in a shell).
    """
    try:
        with warnings.catch_warnings():
            # what overflows is told once, by the loop, with its step and its parameter
            warnings.simplefilter("ignore", RuntimeWarning)
            return _main(presets, sys.argv[1:] if argv is None else argv, finish)
    except MindrawError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{error.filename or 'the disk'}: {error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped outside of training: there was nothing to save", file=sys.stderr)
        return 130
    return 2


def _main(presets, argv, finish):
    preset, resume, rest = _split(presets, argv)
    with contextlib.ExitStack() as stack:
        if resume is None:
            run, experiment = None, _parse(presets[preset], rest, presets)
        else:
            run = stack.enter_context(Run.open(resume))
            base = _read(run)
            experiment = _parse(base, rest, presets)
            _refuse_changes(run, base, experiment)
        ops = get_backend(experiment.backend)
        _look_for_matplotlib(experiment)
        dataset = data.load(
            experiment.dataset,
            data_dir=experiment.data,
            binarise=experiment.binarise,
            seed=experiment.seed,
            size=experiment.size,
        )
        model = Draw(
            experiment.model_config(dataset.shape), ops, experiment.batch, experiment.threads
        )
        model.initialise(experiment.seed, experiment.init_scale)
        task = DrawTask(model, dataset, experiment.seed)
        if dataset.stand_in:  # such a run cannot go on with the real pictures
            task.training["stand-in"] = True
        # the number of threads decides how sums are rounded: a resumed run keeps it
        experiment = dataclasses.replace(experiment, threads=model.threads)
        settings = {"mindraw": __version__, **dataclasses.asdict(experiment)}
        if run is None:
            folder = experiment.out or Path("runs") / f"{experiment.name}-{preset}"
            run = stack.enter_context(Run.create(folder, settings, numbered=experiment.out is None))
        return _train(experiment, settings, task, run, finish)


def _train(experiment, settings, task, run, finish):
    """Train, draw, and tell what came out; return the exit code."""
    optimizer = Adam(
        task.model.parameters, task.ops, lr=experiment.lr, beta1=experiment.beta1,
        clip=experiment.clip, workers=task.model.workers,
    )  # fmt: skip
    plan = Plan(
        steps=experiment.steps(task.minibatches.per_epoch),
        report=experiment.report,
        evaluate=experiment.evaluate,
        checkpoint=experiment.checkpoint,
        pictures=experiment.pictures,
    )
    print(
        f"{plan.steps} minibatches of {task.batch} on {task.ops.name} with "
        f"{task.model.threads} thread{'s' * (task.model.threads > 1)}, into {run.folder}",
        flush=True,
    )

    def draw(step):
        from . import figures

        run.figures.mkdir(exist_ok=True)
        figures.canvases(
            run.figures / f"generations-{step:06d}.png", task.generations(),
            title=title(task.training, f"after {step} minibatches"), windows=_written(task),
        )  # fmt: skip
        figures.loss_curves(run.figures / "losses.png", run.history, title(task.training))

    with Session(task, optimizer, plan, run, draw=draw) as session:
        run.write_json(run.config, settings)
        outcome = session.train()
    if outcome.signal is not None:
        print(
            f"stopped by {outcome.signal.name} at minibatch {outcome.step}, all saved; go on with: "
            f"{Path(sys.executable).name} {sys.argv[0]} --resume {run.folder}"
        )
        return 128 + outcome.signal
    if plan.pictures:
        _draw_all(task, run)
        if finish is not None:
            finish(task, run)
    _tell(task, run, outcome)
    return 0


def _draw_all(task, run):
    """Draw the pictures that a finished run leaves behind."""
    from . import figures

    folder, words = run.figures, title(task.training)
    folder.mkdir(exist_ok=True)
    figures.canvases(folder / "generations.png", task.generations(), words, windows=_written(task))
    x, canvases = task.reconstructions()
    windows = attended(task.model, len(x))
    figures.reconstructions(folder / "reconstructions.png", x, canvases, words, windows)
    figures.animate(folder / "reconstructions.gif", canvases, title=words, windows=windows)
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


def _written(task, n=10):
    """Return where the first n of the last generations were written."""
    return attended(task.model, min(n, task.batch), ["write"])


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


def _tell(task, run, outcome):
    """Print the summary and keep it in summary.json."""
    last = outcome.rows[-1]
    memory = peak_memory()
    summary = {
        "mindraw": __version__,
        "minibatches": outcome.step,
        "epochs": last["epoch"],
        "parameters": int(task.model.parameters.flat.shape[0]),
        "losses in nats": {name: last[name] for name in last if name.startswith(("train", "test"))},
        "test images": len(task.dataset.test),
        "data": task.dataset.source,
        "minutes": outcome.seconds / 60,
        "peak memory in MB": memory,
        "backend": task.ops.name,
        "threads": task.model.threads,
    }
    run.write_json(run.summary, summary)
    print(
        f"test bound   {last['test_total']:.2f} nats (reconstruction "
        f"{last['test_reconstruction']:.2f}, latent {last['test_latent']:.2f}) "
        f"on {len(task.dataset.test)} images\n"
        f"train bound  {last['train_total']:.2f} nats over the last row of the history\n"
        f"time         {outcome.seconds / 60:.1f} minutes for {outcome.step} minibatches\n"
        f"memory       {'not known here' if memory is None else f'{memory:.0f} MB'} at the peak\n"
        f"all of it    {run.folder}: {', '.join(run.contents())}"
    )


def peak_memory():
    """Return the most memory this process held so far, in MB; None where no one knows."""
    with contextlib.suppress(OSError, StopIteration):
        # Linux lets ru_maxrss start at what the process that started this one held
        status = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1.024e-3
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1.024e-3


# ------------------------------------------------------------------ the command line


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise MindrawError(f"{message}: see --help")


def _split(presets, argv):
    """Take --preset and --resume out of the command line; the rest is the dataclass's."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset")
    parser.add_argument("--resume")
    known, rest = parser.parse_known_args(argv)
    if known.preset is not None and known.resume is not None:
        raise MindrawError("--resume takes its numbers from the run: leave --preset out")
    preset = next(iter(presets)) if known.preset is None else known.preset
    if preset not in presets:
        raise MindrawError(f"there is no preset {preset!r}: use one of {', '.join(presets)}")
    return preset, known.resume, rest


def _parse(base, rest, presets):
    """Put the options given over the numbers of `base`."""
    try:
        import tyro
    except ImportError as error:
        raise MindrawError(
            "the command line needs tyro: pip install 'mindraw[examples]'"
        ) from error
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            experiment = tyro.cli(
                type(base),
                default=base,
                args=rest,
                description=f"--preset {'|'.join(presets)} chooses the numbers to start from, "
                "--resume RUN continues a run; every number is an option:",
            )
    except SystemExit as error:
        if not error.code:
            raise
        raise MindrawError(f"{_sentence(told.getvalue())}: see --help") from error
    if experiment.minibatches != base.minibatches and experiment.epochs == base.epochs:
        experiment = dataclasses.replace(experiment, epochs=None)
    elif experiment.epochs != base.epochs and experiment.minibatches == base.minibatches:
        experiment = dataclasses.replace(experiment, minibatches=None)
    experiment.validate()
    return experiment


def _sentence(box):
    """Return the first paragraph of a message that tyro draws a box round."""
    lines = [line.strip(" │") for line in box.splitlines()[1:]]
    words = []
    for line in lines:
        if not line.strip("─╰╯"):
            break
        words.append(line)
    return " ".join(words).rstrip(".") or "the options make no sense"


def _read(run):
    """Return the experiment that a run was made from."""
    settings = run.read_config()
    settings.pop("mindraw", None)
    names = {field.name for field in dataclasses.fields(Experiment)}
    for name in sorted(settings.keys() - names):
        raise MindrawError(f"{run.config}: this version of mindraw does not know {name!r}")
    # an option that this run does not mention is newer than it, and had its default
    experiment = Experiment(**settings)
    experiment.validate()
    return experiment


def _refuse_changes(run, base, experiment):
    """Let a resumed run change only what leaves its checkpoint meaningful."""
    for field in dataclasses.fields(experiment):
        old, new = getattr(base, field.name), getattr(experiment, field.name)
        if old != new and field.name not in MAY_CHANGE:
            raise MindrawError(
                f"{run.folder} was trained with {field.name} = {old!r}, and a resumed run cannot "
                f"change that to {new!r}: start a new run"
            )


def _look_for_matplotlib(experiment):
    if experiment.pictures and importlib.util.find_spec("matplotlib") is None:
        raise MindrawError(
            "pictures need matplotlib: pip install 'mindraw[examples]', or use --pictures 0"
        )
