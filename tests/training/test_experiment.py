"""The command line: options, presets, resuming, exit codes and one sentence per refusal."""

import dataclasses
import importlib.util
import io
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mindraw import data
from mindraw.experiment import Experiment, main, peak_memory
from mindraw.training import DrawTask, Run, load, save
from mindraw.training.history import parse

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "mnist_noattn.py"
PRESETS = runpy.run_path(str(SCRIPT))["PRESETS"]
write_binarized = runpy.run_path(str(ROOT / "tests/data/data_files.py"))["write_binarized"]


@pytest.fixture
def tiny(idx_folder):
    """Options that make any preset a matter of moments."""
    options = {
        "data": idx_folder, "T": 2, "h-enc": 4, "h-dec": 3, "z": 2, "batch": 10,
        "report": 5, "evaluate": 10, "checkpoint": 4, "pictures": 0, "threads": 1,
        "backend": "numpy", "schedule": "constant", "canvas": "grey",
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


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"schedule": "linear"}, "schedule is 'linear': use one of constant, cosine, decay"),
        ({"canvas": "x"}, "canvas is 'x': use one of grey, mean"),
        ({"data": 3}, "data is 3: it must be text or none"),
        ({"data": ""}, "data is empty: name a folder or a file"),
        ({"batch": True}, "batch is True: it must be a whole number of at least 1"),
        ({"lr": 10**400}, "it must be a positive number"),
        ({"T": "x"}, "T is 'x': it must be a whole number"),
        ({"minibatches": None}, "give the length of the run, in minibatches or in epochs"),
        ({"mindraw": "9.9", "zoom": 1}, "does not know the option 'zoom': the run is of another"),
    ],
)
def test_a_config_that_was_changed_is_read_with_the_same_care(tiny, capsys, changed, said):
    assert main(PRESETS, [*tiny, "--minibatches", "2", "--out", "run"]) == 0
    config = Path("run/config.json")
    config.write_text(json.dumps(json.loads(config.read_text()) | changed))
    capsys.readouterr()
    sentence = refused(capsys, ["--resume", "run"])
    assert said in sentence and sentence.startswith("run/config.json: ")
    assert "zoom" not in changed or "(9.9)" in sentence


def test_a_folder_in_the_way_that_is_no_run_is_not_offered_to_go_on_with(tiny, capsys):
    Path("mine").mkdir()
    Path("mine/letter.txt").write_text("dear")
    sentence = refused(capsys, [*tiny, "--out", "mine"])
    assert sentence == "mine is there already: choose another --out"


def test_a_run_leaves_everything_in_its_folder(tiny, capsys):
    assert main(PRESETS, [*tiny, "--minibatches", "12"]) == 0
    folder = Path("runs/mnist_noattn-quick")
    assert {path.name for path in folder.iterdir()} == {
        ".lock", "config.json", "history.csv", "checkpoint.h5", "summary.json",
    }  # fmt: skip
    out = capsys.readouterr().out
    summary = json.loads((folder / "summary.json").read_text())
    last = parse((folder / "history.csv").read_text())[-1]
    assert summary["minibatches"] == last["step"] == 12
    assert summary["losses in nats"]["test_total"] == last["test_total"]
    assert f"test bound   {last['test_total']:.2f} nats" in out and str(folder) in out
    assert json.loads((folder / "config.json").read_text())["T"] == 2


def test_a_validation_part_is_told_of_beside_the_test(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MINDRAW_CACHE", str(tmp_path / "cache"))
    write_binarized(tmp_path / "data", rows=(30, 6, 5))
    argv = [*tiny, "--dataset", "binarized-mnist", "--binarise", "none", "--minibatches", "3"]
    assert main(PRESETS, [*argv, "--data", str(tmp_path / "data")]) == 0
    out, folder = capsys.readouterr().out, Path("runs/mnist_noattn-quick")
    last = parse((folder / "history.csv").read_text())[-1]
    told = [f"{name} bound" in out for name in ("test", "valid", "train")]
    assert told == [True] * 3 and last["valid_total"] != last["test_total"]
    assert f"valid bound  {last['valid_total']:.2f} nats" in out and "on 6 images" in out
    losses = json.loads((folder / "summary.json").read_text())["losses in nats"]
    assert losses["valid_total"] == last["valid_total"] and len(losses) == 9


def test_pictures_come_early_and_at_the_end(tiny, capsys):
    pytest.importorskip("matplotlib")
    pytest.importorskip("PIL")
    options = ["--pictures", "4", "--minibatches", "6", "--out", "run"]
    assert main(PRESETS, [*tiny, *options]) == 0
    assert sorted(os.listdir("run/figures")) == [
        "generations-000004.png", "generations.png", "losses.png", "nearest.png",
        "reconstructions.gif", "reconstructions.png", "samples.gif", "samples.png",
    ]  # fmt: skip


@pytest.fixture
def pages(monkeypatch):
    """What is written on each figure, by its file's name."""
    pytest.importorskip("matplotlib")
    pytest.importorskip("PIL")
    from matplotlib.figure import Figure

    from mindraw.figures import output

    told, written, text = {}, [], Figure.text

    def listen(figure, x, y, words, **style):
        written.append(words)
        return text(figure, x, y, words, **style)

    def keep(path, content):
        told[path.name] = " ".join(written)
        written.clear()
        path.write_bytes(content)

    monkeypatch.setattr(Figure, "text", listen)
    monkeypatch.setattr(output, "write_whole", keep)
    return told


def test_what_is_drawn_stands_beside_the_nearest_training_image(tiny, monkeypatch):
    pytest.importorskip("matplotlib")
    from mindraw import figures

    drawn = []
    monkeypatch.setattr(figures, "nearest", lambda path, *what: drawn.extend(what))
    assert main(PRESETS, [*tiny, "--pictures", "4", "--minibatches", "4"]) == 0
    train = data.load("mnist", data_dir=tiny[tiny.index("--data") + 1]).train
    known = train.images(np.arange(len(train)), 0)
    pictures, neighbours, _ = drawn
    for one, other in zip(pictures, neighbours, strict=True):
        distances = ((known - one.reshape(1, -1)) ** 2).sum(axis=1)
        np.testing.assert_allclose(other.ravel(), known[distances.argmin()], atol=1e-6)


def test_with_attention_the_pictures_carry_rectangles(tiny, pages):
    options = ["--pictures", "4", "--minibatches", "6", "--read-n", "2", "--write-n", "3"]
    assert main(PRESETS, [*tiny, *options]) == 0
    for name, words in pages.items():
        assert ("writes" in words) == name.startswith(("generations", "reconst", "samples.gif"))
        assert ("reads" in words) == name.startswith("reconstructions")
    assert len(pages) == 8


def test_every_figure_tells_of_a_stand_in(tiny, pages, monkeypatch, capsys):
    load_data = data.load

    def stand_in(*arguments, **options):
        dataset = load_data(*arguments, **options)
        return dataclasses.replace(dataset, name="cifar10", stand_in=True)

    with monkeypatch.context() as replaced:
        replaced.setattr(data, "load", stand_in)
        options = ["--pictures", "4", "--minibatches", "6", "--out", "run"]
        assert main(PRESETS, [*tiny, *options]) == 0
    assert len(pages) == 8
    for words in pages.values():
        assert "rained on a stand-in for cifar10" in words
    assert pages["generations-000004.png"].startswith("after 4 minibatches; trained on")
    monkeypatch.setattr(data, "load", lambda *a, **o: dataclasses.replace(
        stand_in(*a, **o), stand_in=False
    ))  # fmt: skip
    capsys.readouterr()
    sentence = refused(capsys, ["--resume", "run", "--minibatches", "9"])
    assert "trained with stand-in = True" in sentence


def test_a_run_from_before_an_option_goes_on_with_its_default(tiny):
    assert main(PRESETS, [*tiny, "--minibatches", "4", "--out", "run"]) == 0
    config = json.loads(Path("run/config.json").read_text())
    del config["size"]
    Path("run/config.json").write_text(json.dumps(config))
    assert main(PRESETS, ["--resume", "run", "--minibatches", "8"]) == 0
    assert load("run/checkpoint.h5").step == 8


def test_a_run_in_double_precision_stays_in_it(tiny, capsys):
    for dtype, out in (("float64", "double"), ("float32", "single")):
        assert main(PRESETS, [*tiny, "--minibatches", "4", "--dtype", dtype, "--out", out]) == 0
        assert json.loads(Path(out, "summary.json").read_text())["dtype"] == dtype
        checkpoint = load(f"{out}/checkpoint.h5")
        assert {array.dtype for array in checkpoint.parameters.values()} == {np.dtype(dtype)}
        assert checkpoint.m.dtype == checkpoint.v.dtype == dtype
    capsys.readouterr()
    sentence = refused(capsys, ["--resume", "double", "--dtype", "float32", "--minibatches", "8"])
    assert "was trained with dtype = 'float64'" in sentence
    assert main(PRESETS, ["--resume", "double", "--minibatches", "8"]) == 0
    assert load("double/checkpoint.h5").parameters["latent.W"].dtype == np.float64


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_the_peak_of_memory_is_this_process_own():
    """A child starts anew, however much its parent holds."""
    held = np.ones(40_000_000)
    code = "import mindraw.experiment; print(mindraw.experiment.peak_memory())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.run(
        [sys.executable, "-c", code], env=environment, text=True, capture_output=True, check=True
    )
    assert 5 < float(child.stdout) < 200 < held.nbytes / 1e6 < peak_memory()


def test_pictures_without_matplotlib_are_refused_before_training(tiny, capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name)
    )
    sentence = refused(capsys, [*tiny, "--pictures", "2", "--minibatches", "6"])
    assert "pip install 'mindraw[examples]'" in sentence and not Path("runs").exists()


def test_a_second_run_gets_a_number_and_a_chosen_folder_is_never_overwritten(tiny, capsys):
    for _ in range(2):
        assert main(PRESETS, [*tiny, "--minibatches", "4"]) == 0
    assert sorted(os.listdir("runs")) == ["mnist_noattn-quick", "mnist_noattn-quick-2"]
    capsys.readouterr()
    sentence = refused(capsys, [*tiny, "--minibatches", "4", "--out", "runs/mnist_noattn-quick"])
    assert "is there already: continue it with --resume" in sentence


def test_a_folder_that_was_never_born_may_be_used(tiny):
    Path("run").mkdir()
    Path("run/.lock").touch()
    Path("run/config.json.new").write_text("{")
    assert main(PRESETS, [*tiny, "--minibatches", "4", "--out", "run"]) == 0


def test_resuming_needs_no_options_and_extends_with_more_minibatches(tiny):
    assert main(PRESETS, [*tiny, "--minibatches", "20", "--out", "whole"]) == 0
    assert main(PRESETS, [*tiny, "--minibatches", "10", "--out", "parts"]) == 0
    assert main(PRESETS, ["--resume", "parts", "--minibatches", "20"]) == 0
    assert main(PRESETS, ["--resume", "parts"]) == 0
    for name in load("whole/checkpoint.h5").parameters:
        arrays = [load(f"{run}/checkpoint.h5").parameters[name] for run in ("whole", "parts")]
        assert np.array_equal(*arrays)
    assert Path("whole/history.csv").read_bytes() == Path("parts/history.csv").read_bytes()
    assert json.loads(Path("parts/config.json").read_text())["minibatches"] == 20


def test_a_run_may_hold_fewer_steps(tiny, capsys):
    tiny += ["--updates", "plain", "--minibatches", "6"]
    for name, options in (("all", []), ("few", ["--recompute", "1"])):
        assert main(PRESETS, [*tiny, *options, "--out", name]) == 0
    rows = [parse(Path(f"{name}/history.csv").read_text())[-1] for name in ("all", "few")]
    assert rows[1] == pytest.approx(rows[0], rel=1e-4)
    capsys.readouterr()
    options = ["--recompute", "3"]
    assert "recompute is 3: it must be" in refused(capsys, [*tiny, *options])


def test_the_length_may_be_given_in_epochs(tiny):
    assert main(PRESETS, [*tiny, "--epochs", "2", "--out", "run"]) == 0
    assert load("run/checkpoint.h5").step == 12
    assert main(PRESETS, [*tiny, "--preset", "paper", "--dataset", "mnist",
                          "--minibatches", "5", "--out", "other"]) == 0  # fmt: skip
    assert load("other/checkpoint.h5").step == 5


@pytest.mark.parametrize(
    "options, said",
    [
        (["--T", "-3"], "T is -3"),
        (["--T", "three"], "Error parsing --T"),
        (["--z", "0"], "z is 0"),
        (["--batch", "61"], "batch is 61, but there are only 60"),
        (["--batch", "0"], "batch is 0"),
        (["--lr", "nan"], "lr is nan"),
        (["--lr", "-1"], "lr is -1.0"),
        (["--beta1", "1"], "beta1 is 1.0"),
        (["--clip", "0"], "clip is 0.0"),
        (["--weight-decay", "-1"], "weight_decay is -1.0"),
        (["--weight-decay", "nan"], "weight_decay is nan"),
        (["--weight-decay", "5", "--lr", "0.2"], "weight_decay is 5.0: it must be at least 0, and"),
        (["--init-scale", "inf"], "init_scale is inf"),
        (["--report", "0"], "report is 0"),
        (["--evaluate", "-1"], "evaluate is -1"),
        (["--checkpoint", "0"], "checkpoint is 0"),
        (["--seed", "-1"], "seed is -1"),
        (["--threads", "0"], "threads is 0"),
        (["--threads", "100000"], "threads is 100000: that many processes would only wait"),
        (["--minibatches", "0"], "minibatches is 0"),
        (["--minibatches", "5", "--epochs", "5"], "not both"),
        (["--minibatches", "None"], "give the length of the run, in minibatches or in epochs"),
        (["--read-n", "5"], "give both"),
        (["--dataset", "mnits"], "no data set 'mnits'"),
        (["--data", "nowhere"], "nowhere"),
        (["--size", "0"], "size is 0"),
        (["--size", "30"], "mnist comes in one size"),
        (["--binarise", "maybe"], "maybe"),
        (["--out", ""], "out is empty: name a folder"),
        (["--report", "1" + 20 * "0"], "must be at most 2,147,483,647"),
        (["--initial", "random"], "random"),
        (["--backend", "tpu"], "tpu"),
        (["--no-such-option", "1"], "--no-such-option"),
        (["stray"], "stray"),
        (["--preset", "huge"], "no preset 'huge': use one of quick, seed, paper"),
        (["--preset"], "--preset"),
        (["--resume", "nowhere"], "nowhere is not the folder of a run"),
        (["--resume", "nowhere", "--preset", "seed"], "leave --preset out"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(tiny, capsys, options, said):
    assert said in refused(capsys, [*tiny, *options])
    assert not Path("runs").exists()


def test_a_run_starts_from_the_parameters_of_another(tiny, capsys):
    assert main(PRESETS, [*tiny, "--minibatches", "6", "--out", "first"]) == 0
    longer = [*tiny, "--start-from", "first", "--T", "3", "--lr", "1e-12", "--out", "second"]
    assert main(PRESETS, [*longer, "--minibatches", "2"]) == 0
    first, second = load("first"), load("second/checkpoint.h5")
    assert (second.config["T"], second.step) == (3, 2)
    for name, array in first.parameters.items():
        np.testing.assert_allclose(second.parameters[name], array, atol=1e-9)
    os.remove("first/checkpoint.h5")  # it has its own by now
    assert main(PRESETS, ["--resume", "second", "--minibatches", "3"]) == 0
    assert load("second").step == 3
    capsys.readouterr()
    assert "first/checkpoint.h5 cannot be read" in refused(capsys, [*longer, "--out", "third"])


GROWING = ["--read-n", "2", "--write-n", "2", "--T", "3", "--grow-from", "2", "--recompute", "3"]
GROWING += ["--lr", "0.003", "--minibatches", "7", "--then-minibatches", "5", "--then-lr", "0.001"]
GROWING += ["--aim-rate", "0.5", "--then-aim-rate", "0.25"]


def test_a_model_grows_from_one_of_fewer_steps(tiny, capsys, monkeypatch):
    """It is what two commands would make of it, the second with the minibatches that follow."""
    assert main(PRESETS, [*tiny, *GROWING, "--out", "grown"]) == 0
    same = [*tiny, "--read-n", "2", "--write-n", "2"]
    few = ["--T", "2", "--lr", "0.003", "--aim-rate", "0.5", "--minibatches", "7", "--out", "few"]
    assert main(PRESETS, [*same, "--recompute", "2", *few]) == 0
    more = ["--T", "3", "--lr", "0.001", "--aim-rate", "0.25", "--minibatches", "5"]
    with monkeypatch.context() as patched:
        step = DrawTask.step
        patched.setattr(DrawTask, "step", lambda task, k: step(task, k + 7))
        assert main(PRESETS, [*same, *more, "--start-from", "few", "--out", "more"]) == 0
    for one, other in (("grown/before", "few"), ("grown", "more")):
        one, other = load(one), load(other)
        assert one.history == other.history and one.config == other.config
        for name, array in one.parameters.items():
            np.testing.assert_array_equal(array, other.parameters[name])
    capsys.readouterr()
    late = refused(capsys, ["--resume", "grown", "--lr", "0.1"])
    assert "grown is in its second training, and lr was of the first: give then_" in late
    assert main(PRESETS, ["--resume", "grown", "--then-minibatches", "6"]) == 0
    assert load("grown").step == 6 and load("grown/before").step == 7


def test_parameters_that_do_not_fit_are_refused(tiny, capsys):
    assert main(PRESETS, [*tiny, "--minibatches", "2", "--out", "first"]) == 0
    capsys.readouterr()
    start = [*tiny, "--start-from", "first", "--out", "second"]
    assert "first holds the parameter encoder.W_x as (16, 784), this model takes (20, 784)" in (
        refused(capsys, [*start, "--h-enc", "5"])
    )
    classify = runpy.run_path(str(ROOT / "examples" / "cluttered_mnist.py"))["PRESETS"]
    options = ["--data", tiny[1], "--dataset", "mnist", "--start-from", "first", "--batch", "10"]
    assert "first holds a model of the kind 'draw', not 'classify'" in (
        refused(capsys, options, classify)
    )
    assert not os.path.exists("second")


@pytest.mark.parametrize(
    "options, said",
    [
        (["--T", "3"], "trained with T = 2"),
        (["--initial", "zeros"], "trained with initial = 'learned'"),
        (["--batch", "5"], "trained with batch = 10"),
        (["--seed", "1"], "trained with seed = 0"),
        (["--binarise", "fixed"], "trained with binarise = 'none'"),
        (["--minibatches", "7"], "at minibatch 8 already"),
    ],
)
def test_a_resumed_run_stays_what_it_was(tiny, capsys, options, said):
    assert main(PRESETS, [*tiny, "--minibatches", "8", "--out", "run"]) == 0
    capsys.readouterr()
    assert said in refused(capsys, ["--resume", "run", *options])
    assert main(PRESETS, ["--resume", "run"]) == 0


def test_another_data_set_under_the_same_name_is_refused(tiny, capsys, idx_folder, tmp_path):
    assert main(PRESETS, [*tiny, "--minibatches", "8", "--out", "run"]) == 0
    capsys.readouterr()
    other = tmp_path / "other"
    other.mkdir()
    for path in (idx_folder / "mnist").iterdir():
        source = path.with_name(path.name.replace("train", "t10k"))
        (other / path.name).write_bytes(source.read_bytes())
    sentence = refused(capsys, ["--resume", "run", "--data", other, "--minibatches", "9"])
    assert "training images = 60, not 25" in sentence


def test_as_many_other_pictures_are_refused(tiny, capsys, upside_down):
    assert main(PRESETS, [*tiny, "--minibatches", "8", "--out", "run"]) == 0
    capsys.readouterr()
    more = ["--resume", "run", "--data", str(upside_down), "--minibatches", "9"]
    assert "as many other pictures" in refused(capsys, more)
    # a run from before this was looked at goes on with any
    saved = load("run")
    del saved.training["training pictures"]
    save("run/checkpoint.h5", saved)
    assert main(PRESETS, more) == 0


def test_a_damaged_folder_is_told_in_one_sentence(tiny, capsys):
    assert main(PRESETS, [*tiny, "--minibatches", "8", "--out", "run"]) == 0
    capsys.readouterr()
    config, checkpoint = Path("run/config.json"), Path("run/checkpoint.h5")
    good, whole = config.read_text(), checkpoint.read_bytes()
    for text in ("{", "[]", good.replace('"T"', '"t"'), good.replace('"T": 2', '"T": "two"')):
        config.write_text(text)
        refused(capsys, ["--resume", "run"])
    config.write_text(good)
    checkpoint.write_bytes(whole[:-1])
    assert "damaged" in refused(capsys, ["--resume", "run"])


def test_two_processes_cannot_share_a_run(tiny, capsys):
    pytest.importorskip("fcntl")
    assert main(PRESETS, [*tiny, "--minibatches", "8", "--out", "run"]) == 0
    capsys.readouterr()
    with Run.open("run"):
        assert "run is in use" in refused(capsys, ["--resume", "run"])
    assert main(PRESETS, ["--resume", "run"]) == 0


def test_a_place_that_cannot_be_made_is_told(tiny, capsys):
    Path("file").write_text("")
    for out in ("file", "file/run"):
        refused(capsys, [*tiny, "--minibatches", "8", "--out", out])


def test_what_is_taken_is_told_before_the_data_are_read(tiny, capsys):
    Path("run").mkdir()
    Path("run/notes.txt").write_text("")
    assert main(PRESETS, [*tiny, "--minibatches", "2", "--out", "run"]) == 2
    assert capsys.readouterr().err == "run is there already: choose another --out\n"


def test_a_tilde_is_the_home_folder(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert main(PRESETS, [*tiny, "--minibatches", "2", "--out=~/run"]) == 0
    assert (tmp_path / "home" / "run" / "checkpoint.h5").exists()
    assert not Path("~").exists()


@pytest.mark.parametrize("how", ["interrupted", "no room"])
def test_figures_that_do_not_come_about_leave_a_run_to_go_on_with(tiny, capsys, monkeypatch, how):
    def broken(self, task, run):
        raise KeyboardInterrupt if how == "interrupted" else OSError(28, "No space left", "a.png")

    options = [*tiny, "--minibatches", "2", "--pictures", "2", "--out", "a run"]
    with monkeypatch.context() as patch:
        patch.setattr(Experiment, "draw", broken)
        code = main(PRESETS, options)
    told = "".join(capsys.readouterr())
    assert code == (130 if how == "interrupted" else 2)
    assert "--resume 'a run'" in told and "saved" in told
    assert how == "interrupted" or "a.png: No space left" in told
    assert main(PRESETS, ["--resume", "a run"]) == 0
    assert Path("a run/figures/generations.png").exists() and Path("a run/summary.json").exists()


def test_the_length_is_what_was_given_though_the_preset_says_the_same(tiny, capsys):
    same = {"quick": PRESETS["quick"].but(minibatches=3, epochs=None)}
    both = [*tiny, "--minibatches", "3", "--epochs", "1", "--out", "run"]
    assert "in minibatches or in epochs, not both" in refused(capsys, both, same)


class Terminal(io.StringIO):
    """What tyro takes for a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.mark.parametrize("columns", ["3", "200"])
@pytest.mark.parametrize("make", [Terminal, lambda: None], ids=["terminal", "closed"])
def test_a_sentence_is_plain_on_every_terminal(capsys, monkeypatch, columns, make):
    stream = make()
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys, "stdout", stream)
    sentence = refused(capsys, ["--lr", "fast"])
    assert "lr" in sentence and "fast" in sentence and sentence.endswith(": see --help")
    assert sentence.isascii() and "\x1b" not in sentence
    assert os.environ["COLUMNS"] == columns
    with pytest.raises(SystemExit) as ended:
        main(PRESETS, ["--help"])
    assert ended.value.code == 0
    assert stream is None or "--lr-floor" in stream.getvalue()


def test_help_has_no_letters_that_the_terminal_lacks(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(SystemExit):
        main(PRESETS, ["--help"])
    told = stream.buffer.getvalue()
    assert b"--lr-floor" in told and b"\\u" not in told and told.decode("latin-1").isascii()


def test_every_option_has_a_line_of_help(capsys):
    with pytest.raises(SystemExit) as ended:
        main(PRESETS, ["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    described = "".join(kind.__doc__ for kind in Experiment.__mro__[:-1])
    for field in dataclasses.fields(Experiment):
        assert "--" + field.name.replace("_", "-") in told
        assert re.search(rf"\n    {field.name} : .*\n        \S", described)
    assert "--preset quick|seed|paper" in " ".join(told.split())


def test_the_seed_preset_is_the_replication():
    seed = PRESETS["seed"]
    assert (seed.T, seed.h_enc, seed.h_dec, seed.z, seed.batch) == (20, 256, 256, 10, 100)
    assert (seed.lr, seed.beta1, seed.clip, seed.init_scale) == (0.001, 0.5, 5.0, 0.05)
    assert (seed.minibatches, seed.report, seed.initial) == (10_000, 100, "zeros")
    assert (seed.dataset, seed.binarise, seed.read_n, seed.write_n) == ("mnist", "none", None, None)
    assert PRESETS["paper"].dataset == "binarized-mnist" and PRESETS["paper"].initial == "learned"
    for preset in PRESETS.values():
        preset.validate()


# ------------------------------------------------------------------ signals, from outside


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(tiny, tmp_path, number):
    command = [sys.executable, str(SCRIPT)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    options = [*tiny, "--minibatches", "100000", "--out", "run"]
    process = subprocess.Popen(
        command + options, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        wait_for(tmp_path / "run" / "checkpoint.h5", process)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + number, err
    step = load("run/checkpoint.h5").step
    assert f"stopped by {number.name} at minibatch {step}, all saved" in out
    assert "Traceback" not in err
    assert f"{SCRIPT} --resume run" in out.splitlines()[-1]
    # what was saved is the state after exactly that many steps
    assert main(PRESETS, ["--resume", "run", "--minibatches", str(step + 3)]) == 0
    assert main(PRESETS, [*tiny, "--minibatches", str(step + 3), "--out", "whole"]) == 0
    assert load("run/checkpoint.h5").m.tobytes() == load("whole/checkpoint.h5").m.tobytes()


def wait_for(path, process):
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.01)


def test_a_start_from_the_mean_picture_is_closer(tiny, capsys):
    bounds = {}
    for canvas in ("grey", "mean"):
        options = ["--minibatches", "1", "--canvas", canvas, "--out", canvas]
        assert main(PRESETS, [*tiny, *options, "--lr", "1e-9"]) == 0
        summary = json.loads(Path(canvas, "summary.json").read_text())
        bounds[canvas] = summary["losses in nats"]["test_total"]
    x = data.load("mnist", data_dir=tiny[tiny.index("--data") + 1])
    mean = np.clip(x.train.images(np.arange(len(x.train)), 0).mean(axis=0), 0.01, 0.99)
    test = x.test.images(np.arange(len(x.test)), 0)
    entropy = -(test * np.log(mean) + (1 - test) * np.log(1 - mean)).sum(axis=1).mean()
    assert bounds["mean"] == pytest.approx(entropy, rel=0.01) and bounds["mean"] < bounds["grey"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--canvas", "mean", "--initial", "zeros"], "for a learned first canvas"),
        (["--filters", "broad"], "filters broad is for attention: give read_n and write_n"),
        (["--aim-rate", "0.5"], "aim_rate is for attention: give read_n and write_n"),
        (["--aim-clip", "apart"], "aim_clip is for attention: give read_n and write_n"),
        (["--updates", "frequencies"], "updates frequencies is for attention: give read_n"),
        (["--schedule", "constant", "--lr-floor", "0"], "constant: leave it out, or give --sche"),
        (["--lr-decay", "0.5"], "lr_decay is for the schedule decay, and this one is c"),
        (["--lr-decay-every=2"], "lr_decay_every is for the schedule decay, and"),
        (["--then-lr", "0.1"], "a second training: give --then-minibatches, or --then-lr None"),
        (["--grow-from", "1"], "a second training: give --then-minibatches, or --grow-from None"),
        (["--then-minibatches", "0"], "then_minibatches is 0"),
        (["--then-minibatches", "1", "--grow-from", "0"], "grow_from is 0: it must be a whole num"),
        (["--then-minibatches", "1", "--then-lr", "0"], "then_lr is 0.0: it must be a positive nu"),
        (["--then-minibatches", "1", "--then-aim-rate", "-1"], "then_aim_rate is -1.0: it must be"),
        (["--then-minibatches", "1", "--then-aim-rate", "0.5"], "then_aim_rate is for attention"),
        (
            ["--then-minibatches", "1", "--grow-from", "2"],
            "then_minibatches is for a second training, and there is none of 2 steps where "
            "grow_from is 2: give --grow-from None",
        ),
    ],
)
def test_a_start_that_does_not_fit_is_refused(capsys, tiny, options, sentence):
    assert sentence in refused(capsys, [*tiny, *options])
