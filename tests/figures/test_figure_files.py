"""Files: whole or not at all, the same bytes each time, and nothing of the user's is touched."""

import errno
import importlib
import os
import subprocess
import sys

import numpy as np
import pytest

from mindraw import MindrawError, figures

ARRAY = np.random.default_rng(0).random((3, 2, 1, 5, 5))
COLOUR = np.random.default_rng(0).random((3, 2, 3, 5, 5))
ROW = dict.fromkeys(
    [f"{s}_{p}" for s in ("train", "test") for p in ("total", "reconstruction", "latent")], 1.0
)
MEASURED = dict.fromkeys(["epoch", "train_loss", "train_error", "test_loss", "test_error"], 1.0)
DRAWINGS = {
    "canvases.png": lambda path: figures.canvases(path, ARRAY, title="Canvases"),
    "samples.png": lambda path: figures.samples(path, COLOUR[0]),
    "reconstructions.png": lambda path: figures.reconstructions(path, ARRAY[0], ARRAY),
    "losses.png": lambda path: figures.loss_curves(path, [{"step": 1, "epoch": 0.1, **ROW}]),
    "curves.png": lambda path: figures.classification_curves(path, [{"step": 1, **MEASURED}]),
    "glimpses.png": lambda path: figures.glimpses(path, ARRAY[0], ARRAY, np.ones((3, 2, 4))),
    "confusion.png": lambda path: figures.confusion(path, [0, 1, 1], [0, 1, 0], 3, "Confusion"),
    "mistakes.png": lambda path: figures.mistakes(path, COLOUR[0], [1, 2], [3, 4]),
    "grey.gif": lambda path: figures.animate(path, ARRAY),
    "colour.gif": lambda path: figures.animate(path, COLOUR),
}
each_drawing = pytest.mark.parametrize("name", DRAWINGS)


@each_drawing
def test_the_same_input_gives_the_same_bytes(tmp_path, name):
    import matplotlib

    first = DRAWINGS[name](tmp_path / name).read_bytes()
    taste = {
        "figure.facecolor": "black",
        "axes.facecolor": "black",
        "text.color": "red",
        "font.size": 30,
        "lines.linewidth": 9,
        "image.origin": "lower",
        "savefig.dpi": 11,
    }
    with matplotlib.rc_context(taste):
        second = DRAWINGS[name](tmp_path / name).read_bytes()
        assert all(matplotlib.rcParams[key] == value for key, value in taste.items())
    assert first == second
    assert os.listdir(tmp_path) == [name]


def test_nothing_says_when_or_by_what_it_was_drawn(tmp_path):
    from PIL import Image

    with Image.open(DRAWINGS["canvases.png"](tmp_path / "c.png")) as image:
        assert image.info == {}
        assert image.mode == "L"


def test_pyplot_and_the_backend_stay_as_they_are(tmp_path):
    code = (
        "import sys, matplotlib, numpy as np\n"
        "matplotlib.rcParams['backend'] = 'svg'\n"
        "matplotlib.rcParams['font.size'] = 31\n"
        "before = dict(matplotlib.rcParams)\n"
        "from mindraw import figures\n"
        "figures.canvases('c.png', np.ones((2, 1, 1, 3, 3)))\n"
        "figures.animate('c.gif', np.ones((2, 1, 1, 3, 3)))\n"
        "figures.loss_curves('l.png', [])\n"
        "assert dict(matplotlib.rcParams) == before\n"
        "print('matplotlib.pyplot' in sys.modules, matplotlib.get_backend())\n"
    )
    path = os.pathsep.join(sys.path)
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert out.stdout.split() == ["False", "svg"]


def test_importing_figures_is_light():
    code = "import sys, mindraw.figures\nprint({'matplotlib', 'PIL'} & set(sys.modules))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
    )
    assert out.stdout.strip() == "set()"


@each_drawing
@pytest.mark.parametrize("package", ["matplotlib", "PIL"])
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, name, package):
    importlib.import_module("matplotlib.figure")  # half an import would stay behind
    for module in [m for m in sys.modules if m.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MindrawError, match=r"pip install 'mindraw\[examples\]'"):
        DRAWINGS[name](tmp_path / name)


@each_drawing
def test_a_name_of_another_kind_is_refused(tmp_path, name):
    with pytest.raises(MindrawError, match=r"must end in \.(png|gif)"):
        DRAWINGS[name](tmp_path / "picture.jpg")


@each_drawing
def test_a_full_disk_leaves_the_old_picture(tmp_path, monkeypatch, name):
    (tmp_path / name).write_bytes(b"old")

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MindrawError, match=f"{name} cannot be written: No space left"):
        DRAWINGS[name](tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"old"
    assert os.listdir(tmp_path) == [name]


def test_an_interrupted_run_leaves_the_old_picture(tmp_path, monkeypatch):
    (tmp_path / "c.png").write_bytes(b"old")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        DRAWINGS["canvases.png"](tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["c.png"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    draw = DRAWINGS["canvases.png"]
    with pytest.raises(MindrawError, match=r"nowhere.c\.png cannot be written: No such file"):
        draw(tmp_path / "nowhere" / "c.png")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MindrawError, match=r"file.c\.png cannot be written"):
        draw(tmp_path / "file" / "c.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(MindrawError, match=r"folder\.png cannot be written"):
        draw(tmp_path / "folder.png")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.png"]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_read_only_folder_is_named(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(MindrawError, match=r"c\.png cannot be written: Permission denied"):
        DRAWINGS["canvases.png"](tmp_path / "c.png")
