"""Every script of examples/: its numbers, and a whole run of a tiny size on small files."""

import dataclasses
import os
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mindraw import data, figures, get_backend
from mindraw.experiment import Experiment, main
from mindraw.training import DrawTask, load, save
from mindraw.training.draw import load_model, windows

EXAMPLES = Path(__file__).parents[2] / "examples"
data_files = SimpleNamespace(**runpy.run_path(str(EXAMPLES.parent / "tests/data/data_files.py")))
SCRIPTS = {path.stem: runpy.run_path(str(path)) for path in sorted(EXAMPLES.glob("*.py"))}
TRAINED = [
    name
    for name, script in SCRIPTS.items()
    if isinstance(script.get("PRESETS", {}).get("quick"), Experiment)
]
PICTURES = {
    "generations-000004.png", "generations.png", "losses.png", "nearest.png",
    "reconstructions.gif", "reconstructions.png", "samples.gif", "samples.png",
}  # fmt: skip
TINY = [
    "--backend", "numpy", "--T", "2", "--h-enc", "8", "--h-dec", "8", "--z", "3", "--batch", "20",
    "--minibatches", "6", "--report", "2", "--pictures", "4", "--threads", "1", "--out", "run",
]  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def folder(idx_folder):
    """MNIST, SVHN and CIFAR-10 of some dozen pictures each, in their official formats."""
    pytest.importorskip("scipy.io")
    data_files.write_svhn(idx_folder / "svhn", 30, 21)
    data_files.write_house_numbers(idx_folder / "svhn-numbers")
    data_files.write_cifar10(idx_folder / "cifar10", data_files.cifar_files(8))
    return idx_folder


def run(name, folder, *options):
    script = SCRIPTS[name]
    argv = [*TINY, "--data", str(folder), *options]
    assert main(script["PRESETS"], argv, finish=script.get("paste")) == 0
    return set(os.listdir("run/figures"))


@pytest.mark.parametrize("name", TRAINED)
def test_it_trains_and_draws(name, folder):
    pytest.importorskip("matplotlib")
    assert run(name, folder) == PICTURES


def test_whole_house_numbers_train(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("MINDRAW_CACHE", str(tmp_path / "cache"))
    presets = SCRIPTS["svhn"]["PRESETS"]
    argv = [*TINY, "--pictures", "0", "--data", str(folder), "--preset", "paper"]
    assert main(presets, argv) == 0
    model, _ = load_model("run/checkpoint.h5", get_backend("numpy"), batch=1)
    assert (model.config.C, model.config.H, model.config.W) == (3, 54, 54)


def test_own_pictures_train(tmp_path):
    for at, (name, pixels) in enumerate(data_files.house_numbers(25)[0]):
        place = tmp_path / "mine" / str(at % 2)
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data_files.png(pixels[:, :, 0]))
    presets = SCRIPTS["mnist_attn"]["PRESETS"]
    argv = ["--dataset", "pictures", "--data", "mine", "--size", "32", "--pictures", "0"]
    assert main(presets, [*TINY, *argv]) == 0
    model, _ = load_model("run/checkpoint.h5", get_backend("numpy"), batch=1)
    assert (model.config.C, model.config.H, model.config.W) == (1, 32, 32)


def test_two_digits_are_pasted_from_a_model_of_one(folder, monkeypatch):
    shown, drawn = {}, []

    def canvases(path, canvases, title=None, windows=None):
        shown[path.name] = canvases, windows

    def generations(task, n=10, generate=DrawTask.generations):
        digits = generate(task, n)
        drawn.append((digits, windows(task.model, digits.shape[1], ["write"])["write"]))
        return digits

    monkeypatch.setattr(figures, "canvases", canvases)
    monkeypatch.setattr(DrawTask, "generations", generations)
    assert "two_digits.gif" in run("two_digits", folder, "--preset", "seed")
    grids, boxes = shown["two_digits.png"]
    digits, written = drawn[-1]
    assert grids.shape == (2, 8, 1, 60, 60) and boxes["write"].shape == (2, 8, 2, 4)
    moved = boxes["write"].reshape(2, 16, 4) - written
    assert (moved[..., 2:] == 0).all()
    lefts, tops = np.rint(moved[0, :, :2]).astype(int).T
    assert len(set(lefts)) > 3 and len(set(tops)) > 3
    # each digit lies where its rectangle went, alone or overlapped, and nothing is above 1
    for pair in range(8):
        want = np.zeros((2, 1, 60, 60))
        for k in (2 * pair, 2 * pair + 1):
            want[:, :, tops[k] : tops[k] + 28, lefts[k] : lefts[k] + 28] += digits[:, k]
        np.testing.assert_allclose(grids[:, pair], np.minimum(want, 1), atol=1e-6)


@pytest.mark.parametrize("name", TRAINED)
def test_the_presets_make_sense(name):
    presets = SCRIPTS[name]["PRESETS"]
    assert list(presets) == ["quick", "seed", "paper"]
    for preset in presets.values():
        preset.validate()
        assert preset.name == name and preset.dataset in data.names()
    for preset in (presets["seed"], presets["paper"]):
        # what the replication used for all of its experiments, and the paper did not contradict
        assert (preset.batch, preset.lr, preset.beta1, preset.clip) == (100, 0.001, 0.5, 5.0)
        assert (preset.init_scale, preset.report, preset.binarise) == (0.05, 100, "none")
        start = ("constant", "grey", "narrow")
        if name == "mnist_attn" and preset is presets["paper"]:
            start = ("cosine", "mean", "broad")  # with which its 64 steps were measured
        assert (preset.schedule, preset.canvas, preset.filters) == start
        assert preset.updates == "plain"
    seed = presets["seed"]
    assert seed.initial == "zeros" and seed.minibatches == 10_000
    assert presets["paper"].initial == "learned"


@pytest.mark.parametrize(
    "name, preset, dataset, T, h, z, read_n, write_n",
    [
        ("mnist_noattn", "seed", "mnist", 20, 256, 10, None, None),
        ("mnist_attn", "seed", "mnist", 20, 256, 10, 5, 5),
        ("mnist_attn", "paper", "binarized-mnist", 64, 256, 100, 2, 5),
        ("two_digits", "seed", "mnist", 20, 256, 10, 5, 5),
        ("two_digits", "paper", "two-digits", 64, 256, 100, 2, 5),
        ("svhn", "seed", "svhn", 20, 800, 10, 12, 12),
        ("svhn", "paper", "svhn-numbers", 32, 800, 100, 12, 12),
        ("cifar10", "seed", "cifar10", 20, 400, 10, 5, 5),
        ("cifar10", "paper", "cifar10", 64, 400, 200, 5, 5),
    ],
)
def test_the_numbers_are_the_published_ones(name, preset, dataset, T, h, z, read_n, write_n):
    numbers = SCRIPTS[name]["PRESETS"][preset]
    assert (numbers.dataset, numbers.T, numbers.z) == (dataset, T, z)
    assert (numbers.h_enc, numbers.h_dec) == (h, h)
    assert (numbers.read_n, numbers.write_n) == (read_n, write_n)


# ------------------------------------------------------------------ drawing from a checkpoint

GENERATE = SCRIPTS["generate"]


@pytest.fixture
def trained(folder, monkeypatch):
    """A run on pictures of 31 x 31 pixels; from now on there is no data set."""
    options = ["--size", "31", "--pictures", "0", "--read-n", "2", "--write-n", "3"]
    argv = [*TINY, *options, "--data", str(folder)]
    assert main(SCRIPTS["two_digits"]["PRESETS"], argv) == 0
    monkeypatch.setattr(data, "load", lambda *_, **__: pytest.fail("asks for data"))
    monkeypatch.delenv("MINDRAW_DATA", raising=False)
    return Path("run")


@pytest.fixture
def shown(monkeypatch):
    """The pictures of each call, and the rectangles on them."""
    told = {}
    for name in ("canvases", "samples", "animate"):
        draw = getattr(figures, name)

        def keep(path, array, title=None, draw=draw, **more):
            told[path.name] = array, more.get("windows")
            return draw(path, array, title=title, **more)

        monkeypatch.setattr(figures, name, keep)
    return told


def generate(*argv):
    return GENERATE["main"]([str(word) for word in argv])


def test_a_checkpoint_is_all_that_generating_takes(trained, shown, capsys):
    assert generate(trained, "--n", "3", "--out", "few", "--backend", "numpy") == 0
    assert "few: generations.png, samples.png, samples.gif" in capsys.readouterr().out
    assert {path.name for path in Path("few").iterdir()} == set(shown)
    few = shown["samples.gif"]
    assert few[0].shape == (2, 3, 1, 31, 31) and few[1]["write"].shape == (2, 3, 4)
    assert set(few[1]) == {"write"}
    np.testing.assert_array_equal(shown["samples.png"][0], few[0][-1])
    # nothing but the file; more pictures than are drawn at once; the first ones stay the same
    os.rename("run/checkpoint.h5", "alone.h5")
    assert generate("alone.h5", "--n", "27", "--out", "many", "--backend", "numpy") == 0
    many = shown["samples.gif"]
    assert many[0].shape[1] == 27 and shown["generations.png"][0].shape[1] == 10
    np.testing.assert_allclose(many[0][:, :3], few[0], rtol=1e-5)
    np.testing.assert_allclose(many[1]["write"][:, :3], few[1]["write"], rtol=1e-4)
    assert len(np.unique(many[0][-1].reshape(27, -1), axis=0)) == 27
    assert generate("alone.h5", "--n", "3", "--seed", "1", "--backend", "numpy") == 0
    assert Path("generated/samples.gif").exists()
    assert (shown["samples.gif"][0] != few[0]).any()


def test_a_loaded_model_draws_what_the_trained_one_draws(trained):
    ops = get_backend("numpy")
    model, checkpoint = load_model("run/checkpoint.h5", ops, batch=4)
    assert (model.config.H, model.config.W, model.config.T) == (31, 31, 2)
    assert checkpoint.step == 6
    for name, array in checkpoint.parameters.items():
        np.testing.assert_array_equal(model.parameters[name], array)


@pytest.mark.parametrize(
    "argv, said",
    [
        (["nowhere"], "the checkpoint nowhere cannot be read"),
        (["empty"], "checkpoint.h5 cannot be read"),
        (["text"], "text is not a checkpoint"),
        (["run", "--n", "0"], "n is 0"),
        (["run", "--seed", "-1"], "seed is -1"),
        (["run", "--out", "text/pictures"], "text/pictures: Not a directory"),
        (["other.h5"], "of the kind 'classify': it cannot draw"),
        (["newer.h5"], "this version does not know"),
    ],
)
def test_what_cannot_be_drawn_from_is_told_in_one_sentence(trained, capsys, argv, said):
    Path("empty").mkdir()
    Path("text").write_text("words")
    good = load("run/checkpoint.h5")
    save("other.h5", dataclasses.replace(good, kind="classify"))
    save("newer.h5", dataclasses.replace(good, config={**good.config, "heads": 2}))
    capsys.readouterr()
    assert generate(*argv, "--backend", "numpy") == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1


def test_drawing_from_a_stand_in_says_so(trained, monkeypatch):
    good = load("run/checkpoint.h5")
    training = {**good.training, "stand-in": True}
    save("stand_in.h5", dataclasses.replace(good, training=training))
    titles = []
    for name in ("canvases", "samples", "animate"):
        monkeypatch.setattr(
            figures, name, lambda path, array, title=None, **_: titles.append(title)
        )
    assert generate("stand_in.h5", "--n", "2", "--backend", "numpy") == 0
    assert titles == ["Trained on a stand-in for two-digits"] * 3
