"""The curves are taken off the figure before it becomes pixels, and compared with the history."""

import math

import pytest

from mindraw import MindrawError, figures
from mindraw.figures import output

PARTS = ("total", "reconstruction", "latent")


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were drawn."""
    kept = []
    rasterise = output.rasterise

    def keep(figure):
        kept.append(figure)
        return rasterise(figure)

    monkeypatch.setattr(output, "rasterise", keep)
    return kept


def history(n, every=2):
    """n rows; the test's cells are filled at every few."""
    rows = []
    for k in range(1, n + 1):
        row = {"step": 100 * k, "epoch": k / 6, "lr": 1e-3}
        for split, worse in (("train", 0), ("test", 2)):
            parts = (100 + 400 * math.exp(-2 * k) + worse, 20 - 15 / k)
            values = (sum(parts), *parts) if split == "train" or k % every == 0 else [None] * 3
            row.update(zip((f"{split}_{part}" for part in PARTS), values, strict=True))
        rows.append(row)
    return rows


def lines(axes):
    return {
        line.get_label().split()[0]: (list(line.get_xdata()), list(line.get_ydata()))
        for line in axes.get_lines()
    }


@pytest.mark.parametrize("n", [1, 2, 60])
def test_the_curves_are_the_history(tmp_path, drawn, n):
    rows = history(n)
    figures.loss_curves(tmp_path / "losses.png", rows, title="Losses")
    (figure,) = drawn
    assert len(figure.axes) == 3
    for axes, part in zip(figure.axes, PARTS, strict=True):
        assert axes.get_title(loc="left") == part
        for split in ("train", "test"):
            points = [(r["step"], r[f"{split}_{part}"]) for r in rows]
            points = [point for point in points if point[1] is not None]
            curve = lines(axes).get(split, ((), ()))
            assert list(zip(*curve, strict=True)) == points
        legend = [text.get_text() for text in axes.get_legend().get_texts()]
        assert legend[0] == f"train {rows[-1]['train_' + part]:.2f}"
        assert len(legend) == (2 if n > 1 else 1)
    assert figure.axes[0].get_ylabel() == "nats per image"
    assert figure.axes[1].get_xlabel() == f"minibatches, up to epoch {round(n / 6, 1):g}"
    assert figure.get_suptitle() == "Losses"


def test_a_validation_set_has_a_curve_of_its_own(tmp_path, drawn):
    rows = history(60)
    for row in rows:
        for part in PARTS:
            known = row[f"test_{part}"]
            row[f"valid_{part}"] = None if known is None else known + 5000
    figures.loss_curves(tmp_path / "losses.png", rows)
    for axes, part in zip(drawn[0].axes, PARTS, strict=True):
        steps, values = lines(axes)["valid"]
        assert steps == [row["step"] for row in rows if row[f"valid_{part}"] is not None]
        assert values == [row["test_" + part] + 5000 for row in rows if row["test_" + part]]
        names = [text.get_text().split()[0] for text in axes.get_legend().get_texts()]
        assert names == ["train", "valid", "test"]
        # thousands of nats fit beside the next panel
        box = axes.get_legend().get_window_extent()
        assert box.x1 < axes.get_window_extent().x1 + 40


def test_few_points_can_be_seen(tmp_path, drawn, tiles):
    page = tiles.read(figures.loss_curves(tmp_path / "one.png", history(1)))
    (figure,) = drawn
    for axes in figure.axes:
        (line,) = axes.get_lines()
        x, y = axes.transData.transform(line.get_xydata()[0])
        r, _, b = page[page.shape[0] - 1 - int(y), int(x)].astype(int)
        assert b > r + 50, "a blue dot"


def test_an_empty_history_says_so(tmp_path, drawn, tiles):
    page = tiles.read(figures.loss_curves(tmp_path / "none.png", []))
    assert page.min() < 100
    (figure,) = drawn
    for axes in figure.axes:
        assert [text.get_text() for text in axes.texts] == ["nothing measured yet"]


def test_the_first_fall_does_not_flatten_the_rest(tmp_path, drawn):
    rows = history(60)
    figures.loss_curves(tmp_path / "losses.png", rows)
    (figure,) = drawn
    total, _, latent = figure.axes
    top = total.get_ylim()[1]
    settled = [r[f"{s}_total"] for r in rows for s in ("train", "test") if r["step"] >= 600]
    settled = [value for value in settled if value is not None]
    assert max(settled) < top < rows[0]["train_total"]
    assert total.get_title(loc="right") == f"from {rows[0]['train_total']:.0f}, off the top"
    # what rises from near 0 is shown from there
    assert latent.get_ylim()[0] < rows[0]["train_latent"]
    assert latent.get_title(loc="right") == ""


def test_a_csv_file_is_the_same_history(tmp_path):
    rows = history(9)
    table = tmp_path / "history.csv"
    cells = [[("" if value is None else repr(value)) for value in row.values()] for row in rows]
    table.write_text("\n".join(",".join(row) for row in [list(rows[0]), *cells]) + "\n")
    one = figures.loss_curves(tmp_path / "one.png", rows)
    other = figures.loss_curves(tmp_path / "other.png", str(table))
    assert one.read_bytes() == other.read_bytes()


def test_values_that_are_not_finite_are_gaps(tmp_path, drawn):
    rows = history(4)
    rows[2]["train_total"] = math.nan
    rows[3]["train_total"] = math.inf
    figures.loss_curves(tmp_path / "losses.png", rows)
    assert lines(drawn[0].axes[0])["train"][0] == [100, 200]


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "cannot be read"),
        (b"\xff\xfe\x00", "is not a CSV file"),
        (b"step,epoch\n1,2\n", "row 1 of .* has no column train_total"),
        (
            b"step,epoch,train_total,train_reconstruction,train_latent,test_total,"
            b"test_reconstruction,test_latent\n1,1,high,1,1,,,\n",
            "row 1 of .* has 'high' under train_total",
        ),
        (
            b"step,epoch,train_total,train_reconstruction,train_latent,test_total,"
            b"test_reconstruction,test_latent\n,1,1,1,1,,,\n",
            "row 1 of .* does not say its step",
        ),
    ],
)
def test_what_is_no_history_is_refused(tmp_path, content, words):
    table = tmp_path / "history.csv"
    if content is not None:
        table.write_bytes(content)
    with pytest.raises(MindrawError, match=words) as refused:
        figures.loss_curves(tmp_path / "losses.png", table)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "losses.png").exists()
