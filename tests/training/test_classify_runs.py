"""A classifier from the command line: its run, its figures, resuming, presets and refusals."""

import dataclasses
import json
import os
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from mindraw import get_backend
from mindraw.experiment import Classification, Experiment, main
from mindraw.team import can_fork
from mindraw.training import ClassifyTask, load
from mindraw.training.history import parse

SCRIPT = Path(__file__).parents[2] / "examples" / "cluttered_mnist.py"
PRESETS = runpy.run_path(str(SCRIPT))["PRESETS"]
FIGURES = {
    "confusion.png", "curves.png", "glimpses-000004.png", "glimpses-mistakes.png", "glimpses.png",
    "mistakes.png",
}  # fmt: skip


@pytest.fixture
def tiny(idx_folder):
    """Options that make any preset a matter of moments."""
    options = {
        "data": idx_folder, "size": 40, "glimpses": 2, "h": 6, "read-n": 3, "batch": 10,
        "report": 5, "evaluate": 10, "checkpoint": 4, "pictures": 0, "threads": 1,
        "backend": "numpy",
    }  # fmt: skip
    return [str(word) for name, value in options.items() for word in (f"--{name}", value)]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refused(capsys, argv, presets=PRESETS):
    """Run what must be refused; return the one sentence."""
    assert main(presets, [str(word) for word in argv]) == 2
    told = capsys.readouterr().err.splitlines(keepends=True)
    sentence, *more = [line for line in told if not line.startswith("mindraw: ")]
    assert not more and sentence.endswith("\n") and len(sentence) > 15, told
    return sentence.strip()


def test_a_run_leaves_everything_in_its_folder(tiny, capsys):
    pytest.importorskip("matplotlib")
    argv = [*tiny, "--minibatches", "12", "--pictures", "4", "--out", "run"]
    assert main(PRESETS, argv) == 0
    assert set(os.listdir("run")) == {
        ".lock", "config.json", "history.csv", "checkpoint.h5", "summary.json", "figures",
    }  # fmt: skip
    assert set(os.listdir("run/figures")) == FIGURES | {"glimpses-000008.png"}
    out = capsys.readouterr().out
    summary = json.loads(Path("run/summary.json").read_text())
    rows = parse(Path("run/history.csv").read_text())
    last = rows[-1]
    assert summary["minibatches"] == last["step"] == 12
    assert summary["test error in per cent"] == last["test_error"]
    assert f"test error   {last['test_error']:.2f} % on 25 pictures" in out
    assert "told where to look in training" in out
    assert list(last) == [
        "step", "epoch", "train_loss", "train_error", "test_loss", "test_error", "lr",
    ]  # fmt: skip
    cosine = PRESETS["quick"].but(minibatches=12).learning_rates(6)
    for row in rows:
        assert row["lr"] == pytest.approx(cosine(row["step"] - 1), rel=1e-9)


def test_the_mistakes_are_what_it_was_surest_of(tiny, monkeypatch):
    pytest.importorskip("matplotlib")
    from mindraw import figures

    drawn = {}
    for name in ("mistakes", "confusion"):
        monkeypatch.setattr(figures, name, lambda path, *what, n=name: drawn.update({n: what}))
    argv = [*tiny, "--minibatches", "2", "--pictures", "4", "--out", "run"]
    assert main(PRESETS, argv) == 0
    experiment = Classification.of("run")
    task = experiment.build(experiment.load(), get_backend("numpy"))
    load("run").restore(Path("run"), task.model.parameters)
    found, split = task.guesses(), task.dataset.test
    pictures, truth, guess, _ = drawn["mistakes"]
    wrong = np.flatnonzero(found.truth != found.guess)
    wrong = wrong[np.argsort(-found.probability[wrong], kind="stable")]
    assert 1 < len(wrong) == len(pictures)
    np.testing.assert_array_equal(truth, found.truth[wrong])
    np.testing.assert_array_equal(guess, found.guess[wrong])
    np.testing.assert_array_equal(pictures.reshape(len(wrong), -1), split.images(wrong, 0))
    np.testing.assert_array_equal(drawn["confusion"][0], found.truth)
    np.testing.assert_array_equal(drawn["confusion"][1], found.guess)


def test_what_says_where_to_look_can_learn_otherwise(tiny):
    task = PRESETS["quick"].but(data=tiny[1], size=40, batch=10, threads=1, h=6, read_n=3)
    model = task.build(task.load(), get_backend("numpy")).model
    aiming = {"read.W", "read.b", "initial.glimpse"}
    changed = task.but(aim_rate=0.25, aim_clip="apart")
    assert (
        changed.rates(model) == dict.fromkeys(aiming, 0.25) and set(changed.apart(model)) == aiming
    )
    changed = task.but(aim_rate=1.0, aim_clip="together")
    assert not changed.rates(model) and not changed.apart(model)


@pytest.fixture
def dies_at(monkeypatch):
    """Let a run be interrupted at a minibatch of its (first) training."""
    step = ClassifyTask.step

    def main_dying(at, argv):
        def dying(task, k):
            if k == at:
                raise KeyboardInterrupt
            return step(task, k)

        with monkeypatch.context() as patched:
            patched.setattr(ClassifyTask, "step", dying)
            return main(PRESETS, argv)

    return main_dying


@pytest.mark.parametrize("digits", ["1", "2"])
@pytest.mark.parametrize("preset", PRESETS)
def test_a_run_that_dies_and_goes_on_ends_with_the_same_bits(tiny, preset, digits, dies_at):
    options = [*tiny, "--preset", preset, "--digits", digits, "--minibatches", "20"]
    options += ["--then-minibatches", "None", "--out"]
    assert main(PRESETS, [*options, "whole"]) == 0
    assert dies_at(10, [*options, "parts"]) == 130  # the last checkpoint is of minibatch 8
    assert load("parts/checkpoint.h5").step == 8
    assert main(PRESETS, ["--resume", "parts"]) == 0
    whole, parts = (load(f"{run}/checkpoint.h5") for run in ("whole", "parts"))
    for name, array in whole.parameters.items():
        np.testing.assert_array_equal(array, parts.parameters[name])
    assert whole.m.tobytes() == parts.m.tobytes()
    assert whole.history == parts.history


GROWING = ["--preset", "labels", "--glimpses", "3", "--grow-from", "2", "--minibatches", "16"]
GROWING += ["--then-minibatches", "12", "--then-lr", "0.001", "--bend", "0.1"]


@pytest.fixture
def later(monkeypatch):
    """Let a run take the minibatches that follow the first 16, as a second training does."""
    step = ClassifyTask.step

    def main_later(argv):
        with monkeypatch.context() as patched:
            patched.setattr(ClassifyTask, "step", lambda task, k: step(task, k + 16))
            return main(PRESETS, argv)

    return main_later


def test_a_model_grows_from_one_of_fewer_glimpses(tiny, later, capsys):
    """It is what two commands would make of it."""
    assert main(PRESETS, [*tiny, *GROWING, "--out", "grown"]) == 0
    same = [*tiny, "--preset", "labels", "--bend", "0.1"]
    assert main(PRESETS, [*same, "--glimpses", "2", "--minibatches", "16", "--out", "few"]) == 0
    more = ["--glimpses", "3", "--first-every", "2", "--minibatches", "12", "--lr", "0.001"]
    assert later([*same, *more, "--start-from", "few", "--out", "more"]) == 0
    for one, other in (("grown/before", "few"), ("grown", "more")):
        one, other = load(one), load(other)
        assert one.history == other.history and one.config == other.config
        for name, array in one.parameters.items():
            np.testing.assert_array_equal(array, other.parameters[name])
    assert load("grown").config["first_every"] == 2
    told = json.loads(Path("grown/config.json").read_text())
    assert (told["glimpses"], told["grow_from"], told["minibatches"]) == (3, 2, 16)
    capsys.readouterr()
    for name, value in (("minibatches", "20"), ("epochs", "2"), ("lr", "0.1")):
        late = refused(capsys, ["--resume", "grown", f"--{name}", value])
        assert "grown is in its second training, and " in late
        assert f"{'minibatches' if name == 'epochs' else name} was of the first: give then_" in late
    alone = refused(capsys, ["--resume", "grown", "--then-minibatches", "None"])
    assert "grown was begun with a second training: start a new run" in alone
    assert main(PRESETS, ["--resume", "grown", "--then-minibatches", "14"]) == 0
    assert load("grown").step == 14 and load("grown/before").step == 16


AGAIN = ["--preset", "best", "--minibatches", "16", "--then-minibatches", "12", "--then-lr", "5e-4"]
AGAIN += ["--lr-floor", "0.001", "--then-bend", "0.16"]


def test_a_second_training_is_that_of_two_commands(tiny, later, capsys):
    """With other digits, from the parameters of the first; Adam and the rate begin anew."""
    assert main(PRESETS, [*tiny, *AGAIN, "--out", "both"]) == 0
    assert re.search(r"minutes for 12 minibatches, after [\d.]+ for 16\n", capsys.readouterr().out)
    assert json.loads(Path("both/summary.json").read_text())["before"]["minibatches"] == 16
    same = [*tiny, "--preset", "best", "--then-minibatches", "None"]
    first = ["--minibatches", "16", "--lr-floor", "0.001", "--out", "first"]
    assert main(PRESETS, [*same, *first]) == 0
    again = ["--minibatches", "12", "--lr", "0.0005", "--lr-floor", "0.0005", "--bend", "0.16"]
    assert later([*same, *again, "--start-from", "first", "--out", "again"]) == 0
    for one, other in (("both/before", "first"), ("both", "again")):
        one, other = load(one), load(other)
        assert one.history == other.history
        for name, array in one.parameters.items():
            np.testing.assert_array_equal(array, other.parameters[name])
    assert not Path("first/before").exists() and not Path("again/before").exists()
    capsys.readouterr()
    longer = refused(capsys, ["--resume", "first", "--then-minibatches", "20"])
    assert "first was begun without a second training: start a new run" in longer


def test_whether_there_is_a_second_training():
    """Its numbers are left out with it, or are those of the first where they are not given."""
    best, labels = PRESETS["best"].but(then_minibatches=36_000, then_lr=0.002), PRESETS["labels"]
    for preset in (best, labels):
        alone = preset.but(then_minibatches=None).settle({"then_minibatches"})
        alone.validate()
        assert alone.stages() == (None, alone)
        assert (alone.then_lr, alone.then_bend, alone.grow_from) == (None, None, None)
    assert labels.but(glimpses=4).stages()[0] is None
    before, own = best.but(then_lr=None, then_bend=None, epochs=3, minibatches=None).stages()
    assert (before.epochs, own.epochs, own.minibatches) == (3, None, 36_000)
    assert (own.lr, own.bend) == (before.lr, before.bend) == (best.lr, best.bend)
    assert own.first_every == before.first_every is None
    before, own = labels.but(first_every=2).stages()
    assert (before.glimpses, own.glimpses) == (4, 8) and own.first_every == before.first_every == 2


def test_what_is_changed_during_the_first_training_is_kept(tiny, dies_at, capsys):
    """However often that is stopped, and for the second."""
    assert dies_at(10, [*tiny, *AGAIN, "--out", "run"]) == 130
    changed = ["--minibatches", "20", "--then-minibatches", "7", "--lr", "0.002"]
    assert dies_at(15, ["--resume", "run", *changed]) == 130
    told = json.loads(Path("run/config.json").read_text())
    assert (told["minibatches"], told["then_minibatches"], told["lr"]) == (20, 7, 0.002)
    assert main(PRESETS, ["--resume", "run"]) == 0
    assert load("run/before").step == 20 and load("run").step == 7
    rates = [row["lr"] for row in parse(Path("run/before/history.csv").read_text())]
    expected = PRESETS["best"].but(minibatches=20, lr=0.002, lr_floor=0.001).learning_rates(6)
    assert rates[-1] == pytest.approx(expected(19), rel=1e-6)


@pytest.mark.parametrize("two", [GROWING, AGAIN], ids=["grows", "again"])
@pytest.mark.parametrize("dies", [[10], [20], [10, 22]], ids=str)
def test_a_run_of_two_trainings_that_dies_goes_on_where_it_was(
    tiny, dies, two, monkeypatch, capsys
):
    assert main(PRESETS, [*tiny, *two, "--out", "whole"]) == 0
    step, taken, argv = ClassifyTask.step, [], [*tiny, *two, "--out", "parts"]

    def dying(task, k):
        taken.append(k)
        if len(taken) in dies:
            raise KeyboardInterrupt
        return step(task, k)

    with monkeypatch.context() as patched:
        patched.setattr(ClassifyTask, "step", dying)
        for _ in dies:
            capsys.readouterr()
            assert main(PRESETS, argv) == 130
            argv = ["--resume", "parts"]
    assert main(PRESETS, argv) == 0
    for run in ("", "/before"):
        whole, parts = load(f"whole{run}"), load(f"parts{run}")
        assert whole.history == parts.history
        for name, array in whole.parameters.items():
            np.testing.assert_array_equal(array, parts.parameters[name])


def test_where_to_look_is_learned_from_where_it_is_known(tiny, capsys):
    """Of the glimpses that it aims; what is not known is left out, and said."""
    finds, out = {}, {}
    for name, options in {
        "told": ["--aim-loss", "4", "--aim-within", "5"], "alone": ["--aim-loss", "0"]
    }.items():  # fmt: skip
        argv = [*tiny, "--glimpses", "3", "--lr-warmup", "0", "--lr", "0.02", "--aim-rate", "1"]
        argv += ["--minibatches", "150", "--distractors", "0", *options, "--out", name]
        assert main(PRESETS, argv) == 0
        out[name] = capsys.readouterr().out
        task = Classification.of(name).but(threads=1)
        task = task.build(task.load(), get_backend("numpy"))
        parameters = load(f"{name}/checkpoint.h5").parameters
        task.model.parameters.load(np.concatenate([p.ravel() for p in parameters.values()]))
        windows = task.paths(np.arange(10)).windows[1:, :, :2]
        away = windows - task.dataset.test.places(np.arange(10)).T
        finds[name] = np.linalg.norm(away, axis=2).mean()
    assert finds["told"] < 0.6 * finds["alone"]
    assert [name for name, text in out.items() if "told where" in text] == ["told"]
    assert main(PRESETS, [*tiny, "--minibatches", "4", "--digits", "2"]) == 0
    assert "where to look is known of one digit" in capsys.readouterr().err


def test_two_digits_are_told_apart_by_combination_or_sum(tiny):
    for target, classes in (("combine", 55), ("sum", 19)):
        argv = [*tiny, "--digits", "2", "--target", target, "--minibatches", "4", "--out", target]
        assert main(PRESETS, argv) == 0
        assert load(f"{target}/checkpoint.h5").config["classes"] == classes


def test_other_pictures_can_be_classified(tiny):
    argv = [*tiny, "--size", "None", "--dataset", "mnist", "--minibatches", "4", "--out", "run"]
    assert main(PRESETS, argv) == 0
    assert load("run/checkpoint.h5").config["H"] == 28


def test_what_a_task_says_of_pictures(tiny, idx_folder):
    experiment = PRESETS["quick"].but(
        minibatches=1, data=str(idx_folder), size=40, glimpses=3, h=6, read_n=3, batch=10, threads=1
    )
    task = experiment.build(experiment.load(), get_backend("numpy"))
    found = task.guesses()
    split = task.dataset.test
    np.testing.assert_array_equal(found.truth, split.labels)
    wrong = 100 * np.mean(found.truth != found.guess)
    assert task.evaluate()["error"] == pytest.approx(wrong)
    assert ((0.1 <= found.probability) & (found.probability <= 1)).all()
    path = task.paths([7, 2])
    np.testing.assert_array_equal(path.x.reshape(2, -1), split.images([7, 2], 0))
    assert path.glimpses.shape == (3, 2, 1, 3, 3) and path.windows.shape == (3, 2, 4)
    assert 0 <= path.glimpses.min() and path.glimpses.max() <= 1 + 1e-5
    # the first glimpse, of the whole picture, is where the preset says it starts
    np.testing.assert_allclose(path.windows[0], [[19.5, 19.5, 39, 4]] * 2, rtol=1e-5)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_processes_make_the_pictures_together(idx_folder, threads):
    if threads > 1 and not can_fork():
        pytest.skip("processes cannot be forked here")
    experiment = PRESETS["best"].but(
        minibatches=1, data=str(idx_folder), size=40, glimpses=2, h=6, read_n=3, batch=10,
        threads=threads,
    )  # fmt: skip
    task = experiment.build(experiment.load(), get_backend("numpy"))
    train, test = task.dataset.train, task.dataset.test
    for split, epoch, indices in (
        (train, 0, np.arange(10)), (train, 3, np.arange(10)[::-1]), (test, 0, np.arange(10, 17)),
        (train, 1, np.array([5])), (test, 0, np.arange(10)),
    ):  # fmt: skip
        made = task.columns(split, indices, epoch)
        np.testing.assert_array_equal(made.T, split.images(indices, epoch))
    task.model.workers.forget()


def test_every_option_has_a_line_of_help(capsys):
    with pytest.raises(SystemExit) as ended:
        main(PRESETS, ["--help"])
    assert ended.value.code == 0
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    described = "".join(kind.__doc__ for kind in Classification.__mro__[:-1])
    for field in dataclasses.fields(Classification):
        assert "--" + field.name.replace("_", "-") in told
        assert re.search(rf"\n    {field.name} : .*\n        \S", described)
    for words in ("T, glimpses of each picture", "Adam's learning rate, at the start"):
        assert words in told
    assert "--preset quick|seed|best|best4|labels" in told


def test_the_seed_preset_is_the_replication():
    seed = PRESETS["seed"]
    assert (seed.batch, seed.lr, seed.beta1, seed.clip) == (100, 0.001, 0.5, 5.0)
    assert (seed.init_scale, seed.epochs, seed.initial, seed.first) == (0.03, 6, "zeros", "state")
    assert (seed.h, seed.glimpses, seed.read_n, seed.bend) == (256, 8, 12, 0.0)
    assert (seed.span, seed.deviation, seed.gain, seed.forget) == (1, 1, 1, 0)
    assert (seed.distractors, seed.distractor_size, seed.origin) == (8, 8, "own")
    rates = seed.learning_rates(600)
    assert [rates(k) for k in (0, 23, 24)] == pytest.approx([1e-3, 1e-3, 0.985e-3])
    assert rates(600) == pytest.approx(1e-3 * 0.985**25) and rates(600 * 20) == 1e-4
    warm = seed.but(schedule="constant", lr_warmup=4).learning_rates(600)
    assert [warm(k) for k in range(6)] == pytest.approx([2e-4, 4e-4, 6e-4, 8e-4, 1e-3, 1e-3])
    for name, preset in PRESETS.items():
        preset.validate()
        assert preset.name == "cluttered_mnist" and preset.glimpses == (4 if name == "best4" else 8)


@pytest.mark.parametrize(
    "options, said",
    [
        (["--glimpses", "0"], "glimpses is 0: it must be at least 1"),
        (["--h", "-1"], "h is -1"),
        (["--read-n", "0"], "read_n is 0"),
        (["--digits", "4"], "digits is 4"),
        (["--distractor-size", "40"], "distractor_size is 40"),
        (["--bend", "2"], "bend is 2.0"),
        (["--size", "20"], "size of cluttered-mnist is 20"),
        (["--span", "0"], "span is 0.0"),
        (["--first-gain", "-1"], "first_gain is -1.0"),
        (["--first", "state"], "first_span is for a first glimpse of its own"),
        (["--forget", "nan"], "forget is nan"),
        (["--lr-floor", "1"], "lr_floor is 1.0: it must lie in [0, lr]"),
        (["--lr-warmup", "-1"], "lr_warmup is -1"),
        (["--schedule", "decay", "--lr-decay", "1.5"], "lr_decay is 1.5"),
        (["--schedule", "decay", "--lr-decay-every", "0"], "lr_decay_every is 0.0"),
        (["--schedule", "linear"], "linear"),
        (["--dataset", "mnist", "--size", "None", "--digits", "2"], "mnist: give --digits 1"),
        (
            ["--dataset", "mnist", "--size", "None", "--then-minibatches", "2", "--then-bend", "0"],
            "then_bend is for cluttered-mnist, not for mnist: give --then-bend None",
        ),
        (["--T", "3"], "--T"),
        (["--first", "state", "--first-span", "1"], "give --first learned, or --first-span None"),
        (["--aim-within", "1e300"], "aim_within is 1e+300: it must be at most 1000000"),
        (["--aim-loss", "0", "--aim-within", "9"], "leave it out, or give --aim-loss"),
        (["--aim-loss", "-1"], "aim_loss is -1.0: it must be a number of at least 0"),
        (["--aim-within", "0"], "aim_within is 0.0: it must be a positive number"),
        (["--then-minibatches", "0"], "then_minibatches is 0"),
        (["--then-minibatches", "3", "--then-lr", "0"], "then_lr is 0.0: it must be a positive nu"),
        (["--then-minibatches", "3", "--then-lr", "10"], "at least 0, and then_lr times it less"),
        (["--then-minibatches", "3", "--then-bend", "2"], "then_bend is 2.0: use a number of 0 to"),
        (["--then-minibatches", "3", "--grow-from", "0"], "grow_from is 0: it must be a whole num"),
        (["--then-lr", "0.1"], "a second training: give --then-minibatches, or --then-lr None"),
        (["--grow-from", "4"], "a second training: give --then-minibatches, or --grow-from None"),
        (["--preset", "labels", "--then-lr", "1"], "there is none of 2 glimpses where grow_fr"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(tiny, capsys, options, said):
    assert said in refused(capsys, [*tiny, "--minibatches", "5", *options])
    assert not Path("runs").exists()


def test_a_resumed_run_stays_what_it_was(tiny, capsys):
    assert main(PRESETS, [*tiny, "--minibatches", "4", "--out", "run"]) == 0
    capsys.readouterr()
    for options, said in (
        (["--glimpses", "3"], "glimpses = 2"),
        (["--bend", "0.2"], "bend = 0.0"),
        (["--distractors", "3"], "distractors = 8"),
    ):
        assert said in refused(capsys, ["--resume", "run", *options])
    drawing = {"quick": Experiment(minibatches=5)}
    assert "does not know the option" in refused(capsys, ["--resume", "run"], drawing)
    for options in (
        ["--updates", "plain"], ["--beta1", "0.5"], ["--aim-rate", "1"], ["--aim-loss", "1"],
        ["--aim-clip", "together"], ["--dataset", "mnist"], ["--start-from", "elsewhere"],
        ["--init-scale", "1"], ["--seed", "1"], ["--h", "7"],
    ):  # fmt: skip
        name = options[0][2:].replace("-", "_")
        assert f"was trained with {name} = " in refused(capsys, ["--resume", "run", *options])
    # another rate and another length: the rates are those of the whole that is asked for now
    assert main(PRESETS, ["--resume", "run", "--lr", "0.0001", "--minibatches", "8"]) == 0
    rates = PRESETS["quick"].but(lr=0.0001, minibatches=8).learning_rates(6)
    rows = {row["step"]: row["lr"] for row in parse(Path("run/history.csv").read_text())}
    assert rows[5] == pytest.approx(rates(4)) and rows[8] == pytest.approx(rates(7))
