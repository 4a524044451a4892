"""The command line of an experiment, and its run."""

import contextlib
import dataclasses
import importlib.util
import io
import os
import shlex
import shutil
import signal
import sys
import warnings
from functools import partial
from pathlib import Path

from .. import __version__
from ..backend import get_backend, why_no_cupy
from ..commands import Parser, guarded, tell
from ..errors import MindrawError
from ..files import read_json, write_json
from ..training import Plan, Run, Session, load
from ..training.run import has_begun, is_run, refuse_taken
from .report import peak_memory

#: What may differ from before when a run is continued.
MAY_CHANGE = {
    "minibatches", "epochs", "lr", "schedule", "lr_floor", "lr_decay", "lr_decay_every",
    "lr_warmup", "clip", "weight_decay", "report", "evaluate", "checkpoint", "pictures", "data",
    "threads", "backend", "then_minibatches", "then_lr",
}  # fmt: skip
#: Columns of the terminal for --help.
NARROWEST = 40


def main(presets, argv=None, finish=None):
    """Run an experiment from the command line.

    Parameters
    ----------
    presets : dict of str to Options
        The first is the default.
    argv : list of str or None
        None for what the process was called with.
    finish : callable or None
        Called as finish(task, run) when a finished run has drawn its pictures, to draw more.

    Returns
    -------
    int
        0 when the run is complete; 2 after an error, told in one sentence; 129, 130 or 143 when
        SIGHUP, SIGINT or SIGTERM stopped it (128 and the signal's number, as in a shell).
    """
    with warnings.catch_warnings():
        # what overflows is told once, by the loop, with its step and its parameter
        warnings.simplefilter("ignore", RuntimeWarning)
        return guarded(_main, presets, sys.argv[1:] if argv is None else argv, finish)


def _main(presets, argv, finish):
    preset, resume, rest = _split(presets, argv)
    with contextlib.ExitStack() as stack:
        if resume is None:
            run, begun, experiment = None, False, _parse(presets[preset], rest, presets)
        else:
            run = stack.enter_context(Run.open(resume))
            begun = has_begun(run.folder)
            base = type(presets[preset]).of(run.folder)
            experiment = _parse(base, rest, presets)
            _refuse_changes(run, base, experiment)
            if begun and base.stages()[0] is not None:
                _refuse_late_changes(run, base, experiment)
        ops = get_backend(experiment.backend, experiment.dtype)
        _look_for_matplotlib(experiment)
        if experiment.backend == "auto" and importlib.util.find_spec("cupy") and ops.shares:
            tell(f"mindraw: on {ops.name}, since {why_no_cupy()}")
        folder = Path(experiment.out or Path("runs") / f"{experiment.name}-{preset}").expanduser()
        if run is None and experiment.out is not None:
            refuse_taken(folder)
        before, own = experiment.stages()
        dataset = (own if begun else experiment).load()

        def create(experiment):
            return stack.enter_context(
                Run.create(folder, _settings(experiment), numbered=experiment.out is None)
            )

        if before is not None and not begun:
            task, before = _prepare(before, dataset, ops, run is not None and has_begun(run.before))
            experiment = experiment.but(threads=before.threads)
            run = run or create(experiment)
            settings = _settings(before)
            inner = Run.open if is_run(run.before) else partial(Run.create, config=settings)
            with inner(run.before) as first:
                # what a resumed run may change is kept at once, of all that is still to come
                configs = {first.config: settings, run.config: _settings(experiment)}
                code = _train(before, configs, task, first, None, run.folder)
            for workers in task.teams:
                workers.forget()
            if code:
                return code
            own, dataset = own.but(threads=before.threads, start_from=str(run.before)), own.load()
        task, own = _prepare(own, dataset, ops, begun)
        if before is not None:
            task.first = before.steps(task.minibatches.per_epoch)
        experiment = experiment.but(threads=own.threads)
        run = run or create(experiment)
        return _train(own, {run.config: _settings(experiment)}, task, run, finish, run.folder)


def _settings(experiment):
    """Return what config.json holds of an experiment."""
    return {"mindraw": __version__, **dataclasses.asdict(experiment)}


def _prepare(experiment, dataset, ops, begun):
    """Build the task; return it, and the experiment with the number of processes that it takes.

    With that number sums are rounded in one way: a resumed run keeps it.
    """
    task = experiment.build(dataset, ops)
    if dataset.stand_in:  # such a run cannot go on with the real pictures
        task.training["stand-in"] = True
    if experiment.start_from is not None and not begun:
        _start_from(experiment.start_from, task)
    return task, experiment.but(threads=task.model.threads)


def _start_from(path, task):
    """Load the parameters of another run, whose model may have had other steps or pictures."""
    path = Path(path).expanduser()
    checkpoint = load(path)
    checkpoint.require(path, task.kind, checkpoint.config)
    checkpoint.restore(path, task.model.parameters)


def _train(experiment, configs, task, run, finish, whole):
    """Train, and finish; return the exit code.

    `configs` holds what to write where when nothing is in the way, and `whole` is what to resume.
    """
    optimizer = experiment.optimizer(task.model)
    plan = Plan(
        steps=experiment.steps(task.minibatches.per_epoch),
        report=experiment.report,
        evaluate=experiment.evaluate,
        checkpoint=experiment.checkpoint,
        pictures=experiment.pictures,
    )
    print(
        f"{plan.steps} minibatches of {task.batch} on {task.ops.name} in "
        f"{task.model.threads} process{'es' * (task.model.threads > 1)}, into {run.folder}",
        flush=True,
    )

    def draw(step):
        run.figures.mkdir(exist_ok=True)
        experiment.sketch(task, run, step)

    rates = experiment.learning_rates(task.minibatches.per_epoch)
    with Session(task, optimizer, plan, run, rates, draw) as session:
        for path, settings in configs.items():
            write_json(path, settings)
        outcome = session.train()
    if outcome.signal is not None:
        print(
            f"stopped by {outcome.signal.name} at minibatch {outcome.step}, all saved; go on with: "
            + _resume(whole)
        )
        return 128 + outcome.signal
    return _finish(experiment, task, run, outcome, finish, whole)


def _finish(experiment, task, run, outcome, finish, whole):
    """Draw, and tell what came out; return the exit code. What fails here can be done again."""
    try:
        if experiment.pictures:
            run.figures.mkdir(exist_ok=True)
            experiment.draw(task, run)
            if finish is not None:
                finish(task, run)
        _tell(experiment, task, run, outcome)
    except KeyboardInterrupt:
        print(f"stopped after the training, all saved; draw the rest with: {_resume(whole)}")
        return 128 + signal.SIGINT
    except (OSError, MindrawError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        what = error
        if isinstance(error, OSError):
            what = f"{error.filename or run.folder}: {error.strerror or error}"
        raise MindrawError(
            f"{what}; the training is done and saved, the rest can be drawn with: {_resume(whole)}"
        ) from error
    return 0


def _resume(folder):
    """Return the command line that goes on with a run."""
    return shlex.join([Path(sys.executable).name, sys.argv[0], "--resume", str(folder)])


def _tell(experiment, task, run, outcome):
    """Print the summary and keep it in summary.json."""
    last = outcome.rows[-1]
    memory = peak_memory()
    if memory is not None:
        memory += sum(workers.memory_beside() for workers in task.teams) / 1e6
    found, lines = experiment.tell(task, last)
    summary = {
        "mindraw": __version__,
        "minibatches": outcome.step,
        "epochs": last["epoch"],
        "parameters": int(task.model.parameters.flat.shape[0]),
        **found,
        "test images": len(task.dataset.test),
        "data": task.dataset.source,
        "minutes": outcome.seconds / 60,
        "peak memory in MB": memory,
        "backend": task.ops.name,
        "dtype": experiment.dtype,
        "threads": task.model.threads,
    }
    after = ""
    with contextlib.suppress(MindrawError, KeyError):
        before = read_json(run.before / run.summary.name)
        summary["before"] = {name: before[name] for name in ("minibatches", "minutes")}
        after = ", after {minutes:.1f} for {minibatches}".format(**summary["before"])
    write_json(run.summary, summary)
    for line in lines:
        print(line)
    print(
        f"time         {outcome.seconds / 60:.1f} minutes for {outcome.step} minibatches{after}\n"
        f"memory       {'not known here' if memory is None else f'{memory:.0f} MB'} at the peak\n"
        f"all of it    {run.folder}: {', '.join(run.contents())}"
    )


# ------------------------------------------------------------------ the command line


def _split(presets, argv):
    """Take --preset and --resume out of the command line; the rest is the dataclass's."""
    parser = Parser(add_help=False, allow_abbrev=False)
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
    told = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    try:
        # not to a terminal, for which tyro would draw in colours
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told), _wide_enough():
            experiment = tyro.cli(
                type(base),
                default=base,
                args=rest,
                description=f"--preset {'|'.join(presets)} chooses the numbers to start from, "
                "--resume RUN continues a run; every number is an option:",
            )
    except SystemExit as error:
        text = told.buffer.getvalue().decode()
        if error.code:
            raise MindrawError(f"{_sentence(text)}: see --help") from error
        _print_help(text)
        raise
    words = [word.partition("=")[0] for word in rest if word.startswith("--")]
    experiment = experiment.settle({word[2:].replace("-", "_") for word in words})
    experiment.validate()
    return experiment


@contextlib.contextmanager
def _wide_enough():
    """Let tyro think that the terminal is as wide as it is, but never so narrow that it hangs."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(max(shutil.get_terminal_size().columns, NARROWEST))
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def _print_help(text):
    """Print what tyro drew, with other boxes where the terminal has no letters for its."""
    if sys.stdout is None:
        return
    if not (sys.stdout.encoding or "").lower().startswith("utf"):
        text = text.translate(str.maketrans("│─╭╮╰╯", "|-++++"))
    print(text, end="")


def _sentence(box):
    """Return the first paragraph of a message that tyro draws a box round."""
    lines = [line.strip(" │") for line in box.splitlines()[1:]]
    words = []
    for line in lines:
        if not line.strip("─╰╯"):
            break
        words.append(line)
    return " ".join(words).rstrip(".") or "the options make no sense"


def _refuse_changes(run, base, experiment):
    """Let a resumed run change only what leaves its checkpoint meaningful."""
    was, wanted = (one.stages()[0] is not None for one in (base, experiment))
    if was != wanted:
        raise MindrawError(
            f"{run.folder} was begun {'with' if was else 'without'} a second training: start a new "
            "run, if need be with --start-from"
        )
    for field in dataclasses.fields(experiment):
        old, new = getattr(base, field.name), getattr(experiment, field.name)
        if old != new and field.name not in MAY_CHANGE:
            raise MindrawError(
                f"{run.folder} was trained with {field.name} = {old!r}, and a resumed run cannot "
                f"change that to {new!r}: start a new run"
            )


def _refuse_late_changes(run, base, experiment):
    """Refuse what only mattered to what was trained before."""
    for name in ("minibatches", "epochs", "lr"):
        if getattr(base, name) != getattr(experiment, name):
            raise MindrawError(
                f"{run.folder} is in its second training, and {name} was of the first: give "
                "then_minibatches or then_lr"
            )


def _look_for_matplotlib(experiment):
    if experiment.pictures and importlib.util.find_spec("matplotlib") is None:
        raise MindrawError(
            "pictures need matplotlib: pip install 'mindraw[examples]', or use --pictures 0"
        )
