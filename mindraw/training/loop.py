"""The training loop: any task, any backend, and the same result however often it is killed."""

import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

import numpy as np

from .. import __version__
from ..errors import MindrawError
from ..files import read_json
from .checkpoint import Checkpoint, load, save
from .history import History, parse
from .ledger import Ledger, first_not_finite
from .progress import progress
from .signals import Signals


@dataclass(frozen=True)
class Plan:
    """How far to train, and how often to look; all in minibatches.

    Parameters
    ----------
    steps : int
        Minibatches in all.
    report : int
        A row of the history every so many.
    evaluate : int
        The validation set, if there is one, and the test set are measured every so many, and at
        the end; 0 for the end only.
    checkpoint : int
        A checkpoint every so many, at the end, and when stopped.
    pictures : int
        First pictures after so many, then after twice as many each time; 0 for none.
    """

    steps: int
    report: int = 100
    evaluate: int = 1000
    checkpoint: int = 500
    pictures: int = 0

    def row_due(self, step):
        """Tell whether the history gets a row after this step."""
        return step % self.report == 0 or self.evaluation_due(step)

    def evaluation_due(self, step):
        """Tell whether what is held out is measured after this step."""
        return step == self.steps or (self.evaluate > 0 and step % self.evaluate == 0)

    def checkpoint_due(self, step):
        """Tell whether a checkpoint is written after this step."""
        return step == self.steps or step % self.checkpoint == 0

    def pictures_due(self, step):
        """Tell whether pictures are drawn after this step."""
        if self.pictures < 1 or step % self.pictures:
            return False
        times = step // self.pictures
        return times & (times - 1) == 0


@dataclass(frozen=True)
class Outcome:
    """How `Session.train` ended.

    Parameters
    ----------
    step : int
        Updates done.
    signal : signal.Signals or None
        What stopped it early; the run was saved.
    rows : list of dict
        The history.
    seconds : float
        Time spent training, over all the pieces of the run.
    """

    step: int
    signal: object
    rows: list
    seconds: float


class Session:
    """One process's part of a run. Its state is what a checkpoint holds, and nothing else.

    Parameters
    ----------
    task : DrawTask or anything with its attributes
        `model` with its `workers`, `ops`, `batch`, `minibatches`, `kind`, `config`, `training`,
        `parts`, `measures`, `measured`, `measured_in`, `step`, `measure` and `evaluate`.
    optimizer : Adam
        Over ``task.model.parameters``.
    plan : Plan
    run : Run
        If it holds a checkpoint, training goes on from there.
    schedule : callable or None
        Number of the step, from 0, to learning rate; None for the optimizer's own.
    draw : callable or None
        Called with the number of steps done when pictures are due.

    Raises
    ------
    MindrawError
        If the checkpoint is damaged, of another model or run, or beyond the plan.
    """

    def __init__(self, task, optimizer, plan, run, schedule=None, draw=None):
        self.task, self.optimizer, self.plan, self.run = task, optimizer, plan, run
        self.schedule = schedule or (lambda step: optimizer.lr)
        self.draw = draw or (lambda step: None)
        self.saved = None
        pending, text, seconds = None, "", 0.0
        if run.checkpoint.exists():
            checkpoint = load(run.checkpoint)
            checkpoint.require(run.checkpoint, task.kind, task.config, task.training)
            checkpoint.restore(run.checkpoint, task.model.parameters, optimizer)
            pending, text, seconds = checkpoint.pending, checkpoint.history, checkpoint.seconds
            self.saved = checkpoint.step
        else:
            self._refuse_a_lost_checkpoint()
        self._refuse_the_past(parse(text))
        self.ledger = Ledger(task.ops, len(task.parts), plan.report, pending)
        splits = ("train", *task.measured)
        columns = [f"{split}_{name}" for split in splits for name in task.measures]
        self.history = History(run.history, ["step", "epoch", *columns, "lr"], text)
        self._start = time.perf_counter() - seconds

    def _refuse_a_lost_checkpoint(self):
        """A run without a checkpoint begins again, over its history: not over a long one."""
        run, reached = self.run, self.run.reached()
        # the first checkpoint was due when the run's own options said, not those it goes on with
        due = read_json(run.config).get("checkpoint", 0) if run.config.exists() else 0
        most = max(due, self.plan.checkpoint)
        if run.summary.exists() or reached > most or run.checkpoint.is_symlink():
            raise MindrawError(
                f"{run.folder} has come to minibatch {reached}, but {run.checkpoint} is not there: "
                "put it back, or start a new run"
            )

    def _refuse_the_past(self, rows):
        last = rows[-1] if rows else {"step": None}
        finished = last["step"] == self.step and None not in last.values()
        if self.step > self.plan.steps or (self.step == self.plan.steps and not finished):
            raise MindrawError(
                f"{self.run.folder} is at minibatch {self.step} already: ask for more than that"
            )

    @property
    def step(self):
        """Updates so far."""
        return self.optimizer.count

    def seconds(self):
        """Return the time spent training, over all the pieces of the run."""
        return time.perf_counter() - self._start

    def train(self, stream=None):
        """Train to ``plan.steps``, or until SIGINT or SIGTERM, and save.

        Parameters
        ----------
        stream : file or None
            Where progress is shown; None for stderr.

        Returns
        -------
        Outcome

        Raises
        ------
        MindrawError
            If a loss or gradient is not finite, or a file cannot be written. The last good
            checkpoint is kept, and named.
        """
        bar = progress(self.plan.steps, self.step, stream)
        # making data may call BLAS, whose threads would then keep the team's cores busy, waiting
        alone = self.task.model.workers.single_threaded_blas()
        with Signals() as signals, closing(bar), alone:
            while self.step < self.plan.steps and signals.received is None:
                row = self.advance()
                bar.advance()
                if row is not None:
                    bar.report(row)
            self.save()
        return Outcome(self.step, signals.received, self.history.rows, self.seconds())

    def advance(self):
        """Do one step and what is due after it; return the new row of the history, if any."""
        lr = self.schedule(self.step)
        self.ledger.add(self.task.step(self.step))
        self.optimizer.step(self.task.model.gradients, lr)
        row = None
        if self.plan.row_due(self.step):
            row = self.report(lr)
        if self.plan.pictures_due(self.step):
            with self._writing():
                self._draw()
        if self.plan.checkpoint_due(self.step):
            self.save()
        return row

    def _draw(self):
        """Draw, and save what was learned if that fails."""
        try:
            self.draw(self.step)
        except (OSError, MindrawError):
            with suppress(MindrawError):
                self.save()
            raise

    def report(self, lr):
        """Look at the losses, and write a row of the history."""
        sums = self.check()
        row = {"step": self.step, "epoch": self.step / self.task.minibatches.per_epoch, "lr": lr}
        count = len(sums) * self.task.batch
        row |= _named("train", self.task.measure(sums.astype(np.float64).sum(0), count))
        if self.plan.evaluation_due(self.step):
            for split in self.task.measured_in(self.history.columns):
                row |= _named(split, self.task.evaluate(split))
        with self._writing():
            self.history.append(row)
        self.ledger.clear()
        return row

    def save(self):
        """Write a checkpoint, unless this step is saved already."""
        if self.saved == self.step:
            return
        sums = self.check()
        host = self.task.ops.to_numpy
        checkpoint = Checkpoint(
            kind=self.task.kind,
            config=self.task.config,
            training=self.task.training,
            step=self.step,
            parameters=self.task.model.parameters.to_dict(),
            m=host(self.optimizer.m),
            v=host(self.optimizer.v),
            pending=sums,
            history=self.history.text,
            seconds=self.seconds(),
            version=__version__,
        )
        with self._writing():
            save(self.run.checkpoint, checkpoint)
        self.saved = self.step

    def check(self):
        """Read the losses since the last row; refuse to go on if anything is not finite.

        Returns
        -------
        numpy.ndarray (n, k)

        Raises
        ------
        MindrawError
            Naming the step, what is not finite, and the last good checkpoint.
        """
        sums = self.ledger.read()
        gradient, loss = self.optimizer.failed_step(), first_not_finite(sums)
        if loss is not None:
            loss += self.step - len(sums) + 1
        if gradient is None and loss is None:
            return sums
        if gradient is not None and (loss is None or gradient <= loss):
            step, what = gradient, self._what_is_not_finite(gradient)
        else:
            step, what = loss, "the loss is not finite, though its gradient is"
        mend = "a smaller --lr or --clip may help"
        if step == 1:  # nothing was learned yet
            mend = "what the model starts from is too large or too small, --init-scale for instance"
        raise MindrawError(f"training stopped at step {step}: {what}; {self.last_good()}; {mend}")

    def _what_is_not_finite(self, step):
        # the parameters have not changed since, and a minibatch is a function of its number
        self.task.step(step - 1)
        for name, gradient in self.task.model.gradients.to_dict().items():
            if not np.isfinite(gradient).all():
                return f"the gradient of {name} is not finite"
        return "the norm of the gradient is too large for a number"

    def last_good(self):
        """Say in half a sentence where the last good checkpoint is."""
        if self.saved is None:
            return "there is no checkpoint yet"
        return f"the last good checkpoint is {self.run.checkpoint} of step {self.saved}"

    @contextmanager
    def _writing(self):
        """Let an error of the disk name the last good checkpoint."""
        try:
            yield
        except (OSError, MindrawError) as error:
            what = error
            if isinstance(error, OSError):
                what = f"{error.filename or self.run.folder} cannot be written: {error.strerror}"
            raise MindrawError(
                f"training stopped at step {self.step}: {what}; {self.last_good()}"
            ) from error

    def close(self):
        """Close the history."""
        self.history.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def _named(split, measures):
    return {f"{split}_{name}": value for name, value in measures.items()}
