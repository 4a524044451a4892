"""The loop: what is due when, resuming, and stopping where a number is not finite."""

import errno
import os
import signal

import numpy as np
import pytest

from mindraw import MindrawError
from mindraw.parallel import can_fork
from mindraw.training import DrawTask, Plan, load
from mindraw.training import loop as module
from mindraw.training.history import parse
from mindraw.training.minibatches import Minibatches
from mindraw.training.signals import Signals


def results(toy):
    """Everything two equal runs must share, as bytes."""
    saved = load(toy.run.checkpoint)
    flat = toy.task.model.parameters.flat
    stored = np.concatenate([array.ravel() for array in saved.parameters.values()])
    assert stored.tobytes() == flat.tobytes()
    return (
        saved.step, stored.tobytes(), saved.m.tobytes(), saved.v.tobytes(),
        saved.pending.tobytes(), saved.history, toy.run.history.read_text(),
    )  # fmt: skip


# ------------------------------------------------------------------ minibatches


def test_an_epoch_shows_every_example_once_and_drops_the_rest():
    minibatches = Minibatches(size=23, batch=5, seed=1)
    assert minibatches.per_epoch == 4
    seen = []
    for epoch in range(3):
        drawn = [minibatches.at(4 * epoch + k) for k in range(4)]
        assert all(number == epoch for _, number in drawn)
        indices = np.concatenate([indices for indices, _ in drawn])
        assert len(set(indices)) == 20 and set(indices) < set(range(23))
        seen.append(tuple(indices))
    assert len(set(seen)) == 3


def test_a_minibatch_depends_on_its_number_and_the_seed_alone():
    forth, back = Minibatches(23, 5, seed=1), Minibatches(23, 5, seed=1)
    order = [forth.at(k)[0].tolist() for k in range(12)]
    assert order == [back.at(k)[0].tolist() for k in reversed(range(12))][::-1]
    assert order != [Minibatches(23, 5, seed=2).at(k)[0].tolist() for k in range(12)]


def test_a_minibatch_larger_than_the_data_is_refused():
    with pytest.raises(MindrawError, match="batch is 24, but there are only 23"):
        Minibatches(23, 24, seed=1)


# ------------------------------------------------------------------ what is due when


def test_pictures_come_at_growing_distances():
    plan = Plan(steps=2000, pictures=100)
    assert [n for n in range(1, 2001) if plan.pictures_due(n)] == [100, 200, 400, 800, 1600]
    assert not any(Plan(steps=9, pictures=0).pictures_due(n) for n in range(1, 10))


def test_the_time_is_that_of_all_pieces(toy):
    outcome = toy.train(20)
    toy.build()
    with toy.session(Plan(40, report=7, evaluate=20, checkpoint=9)) as session:
        saved = load(toy.run.checkpoint).seconds
        assert 0 < saved <= session.seconds() and saved <= outcome.seconds


def test_rows_and_pictures_of_a_run(toy):
    drawn = []
    plan = Plan(50, report=7, evaluate=20, checkpoint=9, pictures=6)
    outcome = toy.train(50, draw=drawn.append, plan=plan)
    assert drawn == [6, 12, 24, 48]
    assert outcome.step == 50 and outcome.signal is None
    rows = parse(toy.run.history.read_text())
    assert rows == outcome.rows
    assert [row["step"] for row in rows] == [7, 14, 20, 21, 28, 35, 40, 42, 49, 50]
    assert [row["step"] for row in rows if row["test_total"] is not None] == [20, 40, 50]
    for row in rows:
        assert row["epoch"] == row["step"] / 11 and row["lr"] == 0.001
        for split in ("train", "test"):
            if row[f"{split}_total"] is not None:
                parts = row[f"{split}_reconstruction"] + row[f"{split}_latent"]
                assert row[f"{split}_total"] == parts > 0


def test_a_row_holds_the_mean_of_exactly_its_steps(toy):
    seen = []

    class Watched(DrawTask):
        def step(self, k):
            losses = super().step(k)
            seen.append([float(part.mean(dtype=np.float64)) for part in losses])
            return losses

    outcome = toy.train(21, task=Watched)
    first = 0
    for row, last in zip(outcome.rows, (7, 14, 20, 21), strict=True):
        expected = np.mean(seen[first:last], axis=0)
        assert row["step"] == last
        assert row["train_reconstruction"] == pytest.approx(expected[0], rel=1e-6)
        assert row["train_latent"] == pytest.approx(expected[1], rel=1e-6)
        first = last


def test_the_test_bound_covers_every_image_and_always_the_same(toy):
    toy.build()
    task, split = toy.task, toy.task.dataset.test
    assert len(split) % task.batch
    once = task.evaluate()
    assert once == task.evaluate()
    total = 0.0
    for number, start in enumerate(range(0, 13, 5)):
        x = split.images(np.arange(start, min(start + 5, 13)), 0).T
        eps = task.ops.standard_normal(task.model.noise_shape(x.shape[1]), (3, 2, number))
        total += sum(float(part.sum(dtype=np.float64)) for part in task.model.loss(x, eps))
    assert once["total"] == pytest.approx(total / 13, rel=1e-6)


def with_validation(toy):
    """The toy's data set with 8 images of its own to validate."""
    pixels = np.random.default_rng(11).random((8, 20), dtype=np.float32) ** 4
    dataset = toy.dataset()
    dataset.valid = type(dataset.test)(pixels)
    return dataset


def test_a_validation_set_is_measured_wherever_the_test_set_is(toy):
    outcome = toy.train(21, dataset=with_validation(toy))
    task, last = toy.task, outcome.rows[-1]
    columns = toy.run.history.read_text().splitlines()[0].split(",")
    assert columns == ["step", "epoch"] + [
        f"{split}_{part}"
        for split in ("train", "valid", "test")
        for part in ("total", "reconstruction", "latent")
    ] + ["lr"]  # fmt: skip
    assert [row["step"] for row in outcome.rows if row["valid_total"] is not None] == [20, 21]
    total, split = 0.0, task.dataset.valid
    for number, (start, stop) in enumerate([(0, 5), (5, 8)]):
        x = split.images(np.arange(start, stop), 0).T
        eps = task.ops.standard_normal(task.model.noise_shape(stop - start), (3, 7, number))
        total += sum(float(part.sum(dtype=np.float64)) for part in task.model.loss(x, eps))
    assert last["valid_total"] == pytest.approx(total / 8, rel=1e-6)
    assert last["test_total"] == task.evaluate()["total"] != last["valid_total"]


def test_measuring_a_validation_set_leaves_the_training_as_it_is(toy):
    toy.train(21)
    alone = toy.task.model.parameters.flat.copy()
    toy.train(21, name="validated", dataset=with_validation(toy))
    assert (toy.task.model.parameters.flat == alone).all()


def test_a_history_without_validation_goes_on_without(toy):
    measured = []

    class Watched(DrawTask):
        def evaluate(self, name="test"):
            measured.append(name)
            return super().evaluate(name)

    before = toy.train(21).rows
    outcome = toy.train(40, dataset=with_validation(toy), task=Watched)
    assert measured == ["test"]
    assert outcome.rows[: len(before)] == before and outcome.step == 40
    assert outcome.rows == parse(toy.run.history.read_text())
    assert outcome.rows[-1]["test_total"] is not None and outcome.rows[-1]["lr"] == 0.001
    assert set(outcome.rows[-1]) == set(before[0])


def test_the_schedule_sets_the_rate_of_every_step(toy):
    from mindraw.optim import decay

    schedule = decay(0.01, 0.5, 10)
    toy.build()
    with toy.session(Plan(28, report=7, evaluate=0), schedule=schedule) as session:
        rows = session.train().rows
    assert [row["lr"] for row in rows] == [0.01, 0.005, 0.0025, 0.0025]
    assert [row["lr"] for row in rows] == [schedule(row["step"] - 1) for row in rows]


def test_blas_has_one_thread_while_minibatches_are_made(toy, monkeypatch):
    """The threads of its pool would keep busy the cores that the team of processes needs."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    if not can_fork():
        pytest.skip("without a team BLAS keeps its threads")
    split = type(toy.dataset().train)
    found, images = [], split.images

    def looked_at(self, indices, epoch):
        pools = threadpoolctl.threadpool_info()
        found.extend(pool["num_threads"] for pool in pools if pool["user_api"] == "blas")
        return images(self, indices, epoch)

    monkeypatch.setattr(split, "images", looked_at)
    monkeypatch.setattr("mindraw.training.task.likeness", lambda split: [])
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        toy.train(3)
    assert set(found) == {1}


def test_the_loss_falls(toy):
    rows = toy.train(300, lr=0.01).rows
    assert rows[-1]["test_total"] < rows[0]["train_total"] - 1


# ------------------------------------------------------------------ resuming


@pytest.mark.parametrize("stops", [[9], [1, 2, 3], [7, 20], [13, 26, 39], [49]])
def test_a_run_in_pieces_is_the_run_in_one(toy, monkeypatch, stops):
    toy.train(50, name="whole")
    expected = results(toy)
    for stop in stops:
        interrupt_after(monkeypatch, stop)
        assert toy.train(50).step == stop
    monkeypatch.undo()
    assert toy.train(50).step == 50
    assert results(toy) == expected


def interrupt_after(monkeypatch, step):
    """Send SIGINT while step number `step` is at work."""
    original = module.Session.advance

    def advance(self):
        if self.step == step - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self)

    monkeypatch.setattr(module.Session, "advance", advance)


def test_a_finished_run_is_left_as_it_is(toy):
    toy.train(20)
    before = results(toy)
    stamp = toy.run.checkpoint.stat().st_mtime_ns
    assert toy.train(20).rows == parse(before[-1])
    assert results(toy) == before and toy.run.checkpoint.stat().st_mtime_ns == stamp


def test_more_steps_extend_a_run_to_the_same_parameters(toy):
    toy.train(50, name="whole")
    expected = toy.task.model.parameters.flat.copy()
    toy.train(23)
    outcome = toy.train(50)
    assert np.array_equal(toy.task.model.parameters.flat, expected)
    assert 23 in [row["step"] for row in outcome.rows]


def test_fewer_steps_than_done_are_refused(toy):
    toy.train(23)
    with pytest.raises(MindrawError, match="is at minibatch 23 already"):
        toy.train(22)


def test_a_killed_run_loses_the_rows_after_its_checkpoint(toy, monkeypatch):
    toy.train(50, name="whole")
    expected = results(toy)
    die_at(monkeypatch, 16)
    with pytest.raises(SystemError, match="died"):
        toy.train(50)
    assert parse(toy.run.history.read_text())[-1]["step"] == 14
    monkeypatch.undo()
    assert load(toy.run.checkpoint).step == 9
    toy.train(50)
    assert results(toy) == expected


def die_at(monkeypatch, step):
    """Let the process fall over in step number `step`."""
    original = DrawTask.step

    def fall(self, k):
        if k == step - 1:
            raise SystemError("died")
        return original(self, k)

    monkeypatch.setattr(DrawTask, "step", fall)


# ------------------------------------------------------------------ not finite


class Spoilt(DrawTask):
    """Step 12 goes wrong, wherever `spoil` says."""

    def step(self, k):
        losses = super().step(k)
        if k == 11:
            self.spoil(losses)
        return losses


class SpoiltGradient(Spoilt):
    def spoil(self, losses):
        self.model.gradients["write.W"][1, 2] = np.inf


class SpoiltLoss(Spoilt):
    def spoil(self, losses):
        losses.latent[2] = np.nan


def stopped(toy, steps=50, **build):
    with pytest.raises(MindrawError) as caught:
        toy.train(steps, **build)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "task, what",
    [
        (SpoiltGradient, "the gradient of write.W is not finite"),
        (SpoiltLoss, "the loss is not finite, though its gradient is"),
    ],
)
def test_the_run_stops_and_names_step_parameter_and_checkpoint(toy, task, what):
    message = stopped(toy, task=task)
    assert f"stopped at step 12: {what}" in message
    assert f"the last good checkpoint is {toy.run.checkpoint} of step 9" in message
    # nothing was saved or reported after the fault
    assert load(toy.run.checkpoint).step == 9
    assert parse(toy.run.history.read_text())[-1]["step"] == 7
    # the same run goes wrong at the same step, and a mended one goes on
    assert "stopped at step 12" in stopped(toy, task=task)
    assert toy.train(50).step == 50


def test_a_spoilt_picture_is_found_without_a_checkpoint(toy):
    dataset = toy.dataset(spoilt=0)
    minibatches = Minibatches(57, 5, 3)
    first = next(k for k in range(11) if 0 in minibatches.at(k)[0]) + 1
    message = stopped(toy, plan=Plan(50, checkpoint=1000), dataset=dataset)
    assert f"stopped at step {first}: the gradient of encoder.W_x is not finite" in message
    assert "there is no checkpoint yet" in message
    assert not toy.run.checkpoint.exists()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_rate_that_is_far_too_large_stops_the_run(toy):
    assert "is not finite" in stopped(toy, lr=1e38)


def test_a_fault_just_before_a_signal_is_not_saved(toy, monkeypatch):
    interrupt_after(monkeypatch, 13)
    assert "stopped at step 12" in stopped(toy, task=SpoiltGradient)
    assert load(toy.run.checkpoint).step == 9


# ------------------------------------------------------------------ disks and signals


def test_a_full_disk_under_the_checkpoint_keeps_the_last_one(toy, monkeypatch):
    def full(path, checkpoint):
        if checkpoint.step > 9:
            monkeypatch.setattr(os, "fsync", no_space)
        module_save(path, checkpoint)

    def no_space(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    module_save = module.save
    monkeypatch.setattr(module, "save", full)
    message = stopped(toy)
    assert "checkpoint.h5 cannot be written: No space left on device" in message
    assert f"the last good checkpoint is {toy.run.checkpoint} of step 9" in message
    monkeypatch.undo()
    assert toy.train(50).step == 50


def test_a_full_disk_under_the_pictures_saves_what_was_learned(toy):
    def draw(step):
        raise OSError(errno.ENOSPC, "No space left on device", "generations.png")

    plan = Plan(20, report=7, evaluate=20, checkpoint=9, pictures=4)
    with pytest.raises(MindrawError, match=r"step 4: generations.png cannot .* of step 4$"):
        toy.train(20, draw=draw, plan=plan)
    assert load(toy.folder / "run").step == 4


@pytest.mark.parametrize("lost", ["removed", "dangling"])
def test_a_run_that_lost_its_checkpoint_does_not_begin_again_over_itself(toy, lost):
    toy.train(30)
    checkpoint = toy.folder / "run" / "checkpoint.h5"
    checkpoint.unlink()
    if lost == "dangling":
        checkpoint.symlink_to("elsewhere.h5")
    before = (toy.folder / "run" / "history.csv").read_text()
    with pytest.raises(MindrawError, match=r"come to minibatch 30, but .* is not there: put it"):
        toy.train(40)
    assert (toy.folder / "run" / "history.csv").read_text() == before


def test_a_run_that_was_killed_long_before_its_first_checkpoint_begins_again(toy):
    folder = toy.folder / "run"
    toy.train(30)
    (folder / "checkpoint.h5").unlink()
    (folder / "config.json").write_text('{"checkpoint": 1000}')
    toy.train(40)
    assert load(folder).step == 40


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(toy):
    toy.train(7)
    (toy.folder / "run" / "checkpoint.h5").unlink()
    assert toy.train(20).step == 20


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_under_the_history_keeps_the_checkpoint(toy, monkeypatch):
    toy.train(50, name="whole")
    expected = results(toy)
    toy.build()
    with toy.session(Plan(50, report=7, evaluate=20, checkpoint=9)) as session:
        for _ in range(10):
            session.advance()
        session.history._file.close()
        session.history._file = open("/dev/full", "a")
        with pytest.raises(MindrawError, match=r"step 14: .* No space left .* of step 9"):
            session.train()
    toy.train(50)
    assert results(toy) == expected


STOPPING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture
def not_under_nohup():
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", STOPPING)
def test_the_first_signal_is_noted_and_the_second_obeyed(number, not_under_nohup, capfd):
    before = [signal.getsignal(number) for number in STOPPING]
    with Signals() as signals:
        assert signals.received is None
        os.kill(os.getpid(), number)
        assert signals.received is number
        for each in STOPPING:
            assert signal.getsignal(each) is signal.SIG_DFL
    assert [signal.getsignal(number) for number in STOPPING] == before
    assert "once more stops at once" in capfd.readouterr().err


def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.received is None
    finally:
        signal.signal(signal.SIGHUP, before)
