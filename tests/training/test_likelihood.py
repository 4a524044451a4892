"""examples/likelihood.py: estimates that go on where they were, and its refusals."""

import errno
import json
import os
import runpy
import signal
from pathlib import Path

import numpy as np
import pytest

from mindraw import get_backend
from mindraw.experiment import Classification, Experiment, main
from mindraw.training.draw import load_model
from mindraw.training.history import parse
from mindraw.training.streams import IMPORTANCE

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "examples/likelihood.py"))
NAMES = SCRIPT["measure"].__globals__
RUN = Experiment(
    T=2, h_enc=8, h_dec=8, z=3, batch=10, minibatches=4, report=2, pictures=0, threads=1,
    backend="numpy", out="run",
)  # fmt: skip


@pytest.fixture
def trained(idx_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(NAMES, "BATCH", 5)
    assert main({"quick": RUN}, ["--data", str(idx_folder)]) == 0


def ask(*argv):
    return SCRIPT["main"](["run", "--samples", "3", "--backend", "numpy", *argv])


def test_it_tells_the_bound_and_the_estimate(trained, capsys):
    assert ask() == 0
    rows = parse(Path("run/likelihood-test-3.csv").read_text())
    told = json.loads(Path("run/likelihood-test-3.json").read_text())
    assert [row["image"] for row in rows] == list(range(len(rows))) and len(rows) > 10
    for row in rows:
        assert row["estimate"] < row["bound"] and 1 <= row["effective"] < 3
    mean = sum(row["estimate"] for row in rows) / len(rows)
    assert told["estimate"] == pytest.approx(mean) and told["step"] == 4
    for name in ("bound", "estimate"):
        spread = np.std([row[name] for row in rows]) / len(rows) ** 0.5
        assert told[f"{name}, standard error"] == pytest.approx(spread)
    said = capsys.readouterr().out
    assert f"estimate     {mean:.2f} nats" in said
    assert f"on {len(rows)} images of test, 3 samples each" in said
    # the noise is another, and the bound nearly the same
    assert ask("--seed", "1", "--out", "other.csv") == 0
    other = json.loads(Path("other.json").read_text())
    assert other["bound"] != told["bound"] and other["bound"] == pytest.approx(told["bound"], 0.01)


def test_every_sample_of_every_picture_has_noise_of_its_own(trained):
    """What is told is made of log p(x, z) - log q(z | x) for noise that is drawn here."""
    assert ask("--seed", "4") == 0
    rows = parse(Path("run/likelihood-test-3.csv").read_text())
    ops = get_backend("numpy")
    model, _ = load_model(Path("run"), ops, 5)
    split = Experiment.of("run").load().test
    for start in range(0, len(split), 5):
        x = split.images(np.arange(start, start + 5), 0).T
        log_w = np.stack([
            np.array(
                model.log_weights(
                    x, ops.standard_normal(model.noise_shape(), (4, IMPORTANCE, start // 5, k))
                ),
                np.float64,
            )
            for k in range(3)
        ])  # fmt: skip
        for number, own in enumerate(log_w.T, start):
            assert rows[number]["bound"] == pytest.approx(-own.mean(), rel=1e-6)
            mean = np.log(np.mean(np.exp(own - own.max()))) + own.max()
            assert rows[number]["estimate"] == pytest.approx(-mean, rel=1e-6)


def test_it_goes_on_where_it_was_with_the_same_estimates(trained, capsys, monkeypatch):
    assert ask("--out", "whole.csv", "--images", "12") == 0
    assert ask("--out", "parts.csv", "--images", "3") == 0
    with open("parts.csv", "a") as file:
        file.write("3,101.2")  # killed within a line
    estimate = NAMES["estimate"]

    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return estimate(*arguments)

    monkeypatch.setitem(NAMES, "estimate", interrupted)
    assert ask("--out", "parts.csv", "--images", "12") == 128 + signal.SIGINT
    assert "stopped by SIGINT at picture 5 of 12, all saved" in capsys.readouterr().out
    monkeypatch.setitem(NAMES, "estimate", estimate)
    assert ask("--out", "parts.csv", "--images", "12") == 0
    whole, parts = (parse(Path(name).read_text()) for name in ("whole.csv", "parts.csv"))
    for one, other in zip(whole, parts, strict=True):
        assert one == pytest.approx(other, rel=1e-6)
    # fewer than there are: what is told is of all that there are
    capsys.readouterr()
    assert ask("--out", "parts.csv", "--images", "2") == 0
    assert "on 12 images of test" in capsys.readouterr().out


def test_other_data_than_the_runs_are_told_of_and_not_mixed_in(
    trained, smaller_idx_folder, upside_down, capsys
):
    other = ["--images", "2", "--data", str(smaller_idx_folder)]
    assert ask("--images", "2", "--out", "there.csv") == 0
    assert "not its data" not in capsys.readouterr().err
    assert ask(*other, "--out", "others.csv") == 0
    assert "was trained on 60 pictures, and here there are 40" in capsys.readouterr().err
    assert ask("--images", "2", "--data", str(upside_down), "--out", "turned.csv") == 0
    assert "was trained on as many other pictures" in capsys.readouterr().err
    # where the run's own data have as many other test pictures
    (path,) = upside_down.rglob("t10k-images*")
    file = path.read_bytes()
    path.write_bytes(file[:16] + file[:15:-1])
    assert ask("--images", "2", "--data", str(upside_down), "--out", "there.csv") == 2
    assert "tells of estimates with other measured pictures: remove it" in capsys.readouterr().err
    assert ask(*other, "--out", "there.csv") == 2
    assert "tells of estimates with pictures = 25, not 15" in capsys.readouterr().err


def test_two_processes_cannot_share_a_table(trained, capsys, monkeypatch):
    pytest.importorskip("fcntl")
    capsys.readouterr()
    measured, estimate = [], NAMES["estimate"]

    def another_meanwhile(*arguments):
        if not measured:
            measured.append(ask())
        return estimate(*arguments)

    monkeypatch.setitem(NAMES, "estimate", another_meanwhile)
    assert ask() == 0
    assert measured == [2]
    table = "run/likelihood-test-3.csv"
    assert f"{table} is in use: another process is estimating there\n" in capsys.readouterr().err
    # what was refused has let go, and so has what is done; other tables are free all along
    assert ask("--seed", "1") == 2 and ask() == 0
    assert [row["image"] for row in parse(Path(table).read_text())] == list(range(25))


def test_another_model_than_the_tables_is_not_mixed_in(trained, idx_folder, capsys):
    """Even one that differs in nothing but its parameters."""
    assert ask("--images", "2", "--out", "there.csv") == 0
    for name, more in (("faster", {"lr": 0.01}), ("wider", {"h_enc": 9})):
        run = RUN.but(out=name, data=str(idx_folder), **more)
        assert main({"quick": run}, []) == 0
        capsys.readouterr()
        argv = [name, "--samples", "3", "--backend", "numpy", "--images", "4", "--out", "there.csv"]
        assert SCRIPT["main"](argv) == 2
        said = {"faster": "parameters = '", "wider": "h_enc = 8, not 9"}[name]
        assert f"tells of estimates with {said}" in capsys.readouterr().err
    assert len(parse(Path("there.csv").read_text())) == 2


def test_a_full_disk_is_told_in_one_sentence(trained, capsys, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(NAMES["Survey"], "add", full)
    capsys.readouterr()
    assert ask() == 2
    assert capsys.readouterr().err.endswith("the disk: No space left on device\n")


@pytest.mark.parametrize("damage", ["row", "cell", "column", "letters"])
def test_a_damaged_table_is_refused_and_left(trained, capsys, damage):
    assert ask("--images", "4", "--out", "there.csv") == 0
    table = Path("there.csv")
    lines = table.read_bytes().splitlines(keepends=True)
    if damage == "row":
        del lines[2]
    elif damage == "cell":
        lines[2] = lines[2].rpartition(b",")[0] + b",\n"
    elif damage == "column":
        lines = [b",".join(line.strip().split(b",")[:2]) + b"\n" for line in lines]
    else:
        lines[2] = b"\xff\xfe\n"
    table.write_bytes(b"".join(lines))
    capsys.readouterr()
    assert ask("--images", "6", "--out", "there.csv") == 2
    assert "there.csv: " in (told := capsys.readouterr().err) and "choose another --out" in told
    assert table.read_bytes() == b"".join(lines)


@pytest.mark.parametrize(
    "argv, said",
    [
        (["--samples", "0"], "samples is 0: it must be a whole number of at least 1"),
        (["--images", "0"], "images is 0"),
        (["--seed", "-1"], "seed is -1"),
        (["--split", "valid"], "mnist has no split valid: choose test or train"),
        (["--seed", "1", "--out", "there.csv"], "noise seed = 0, not 1: remove it and its table"),
        (["--out", "there.json"], "there.json would lie where what it is of is kept: call it .csv"),
        (["--out", "no/where.csv"], "there is no folder no: make it, or"),
        (["--out", "alone.csv"], "alone.csv is there already, and is no table of estimates"),
        (["--out", "folder"], "folder is there already, and is no table of estimates"),
        (["--out", ""], "is no file's name: choose another --out"),
        (["--out", "junk.csv"], "junk.csv: this is not a table of numbers"),
        (["--out", "run/config.csv"], "run/config.json tells of estimates with step = None"),
        (["--samples", "x"], "invalid int value: 'x': see --help"),
    ],
)
def test_what_cannot_be_estimated_is_told_in_one_sentence(trained, capsys, argv, said):
    assert ask("--images", "2", "--out", "there.csv") == 0
    Path("alone.csv").write_text("image\n")
    Path("folder").mkdir()
    Path("junk.json").write_text(Path("there.json").read_text())
    Path("junk.csv").write_text(Path("there.csv").read_text() + "what,is,this,now\n")
    capsys.readouterr()
    assert ask(*argv) == 2
    err = [line for line in capsys.readouterr().err.splitlines() if "pictures to train" not in line]
    assert len(err) == 1 and said in err[0]


def test_other_folders_are_refused(trained, idx_folder, capsys):
    glimpses = Classification(
        glimpses=2, h=8, batch=10, minibatches=1, pictures=0, threads=1, backend="numpy",
        out="classified",
    )  # fmt: skip
    assert main({"quick": glimpses}, ["--data", str(idx_folder)]) == 0
    capsys.readouterr()
    for folder, said in (
        ("nowhere", "nowhere is not the folder of a run"),
        ("classified", "this command does not know the option"),
    ):
        assert SCRIPT["main"]([folder]) == 2
        assert said in capsys.readouterr().err
