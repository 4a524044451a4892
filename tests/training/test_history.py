"""The history file: exact, appended to, and cut back to the checkpoint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindraw import MindrawError
from mindraw.training.history import History, parse

COLUMNS = ["step", "epoch", "train_total", "test_total", "lr"]


def test_rows_are_on_disk_at_once_and_empty_cells_stay_empty(tmp_path):
    history = History(tmp_path / "history.csv", COLUMNS)
    history.append({"step": 100, "epoch": 1 / 3, "train_total": 102.25, "lr": 0.001})
    expected = f"step,epoch,train_total,test_total,lr\n100,{1 / 3!r},102.25,,0.001\n"
    assert (tmp_path / "history.csv").read_text() == expected == history.text
    history.close()
    assert parse(expected)[0]["test_total"] is None


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=5))
def test_numbers_read_back_as_they_were(tmp_path_factory, values):
    history = History(tmp_path_factory.mktemp("h") / "history.csv", ["step", "x"])
    for step, x in enumerate(values):
        history.append({"step": step, "x": x})
    history.close()
    assert parse(history.text) == history.rows
    assert [row["x"] for row in parse(history.text)] == values


def test_what_lies_beyond_the_checkpoint_is_cut_off(tmp_path):
    path = tmp_path / "history.csv"
    history = History(path, COLUMNS)
    history.append({"step": 1})
    kept = history.text
    history.append({"step": 2})
    history.close()
    with open(path, "a") as file:
        file.write("3,0.")
    history = History(path, COLUMNS, kept)
    assert path.read_text() == kept
    history.append({"step": 2})
    history.close()
    assert [row["step"] for row in history.rows] == [1, 2]
    assert [row["step"] for row in parse(path.read_text())] == [1, 2]


@pytest.mark.parametrize("text", ["step,x\n1\n", "step,x\n1,two\n", "step,x\n1,2,3\n"])
def test_a_damaged_table_is_refused(text):
    with pytest.raises(MindrawError, match="not a table of numbers"):
        parse(text)
