"""Checkpoints: whole or refused, for this model or refused, and never lost to a bad disk."""

import dataclasses
import errno
import os
import tracemalloc

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindraw import DrawConfig, MindrawError
from mindraw.training import checkpoint as module
from mindraw.training import load, save
from mindraw.training.checkpoint import BLOCK, Checkpoint, to_bytes

EXAMPLE = Checkpoint(
    kind="draw",
    config={"T": 3, "initial": "learned"},
    training={"batch": 5, "seed": 0, "training pictures": [0.13, 0.2]},
    step=12,
    parameters={
        "encoder.W": np.arange(6, dtype=np.float32).reshape(2, 3),
        "decoder.b": np.full((4, 1), 0.1, np.float32),
    },
    m=np.arange(10, dtype=np.float32),
    v=np.arange(10, dtype=np.float32) ** 2,
    pending=np.array([[1.5, 2.5]], np.float32),
    history="step,x\n10,0.1\n",
    seconds=1.25,
    version="0.1.0",
)
WHOLE = to_bytes(EXAMPLE)


def same(a, b):
    for field in dataclasses.fields(Checkpoint):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, dict):
            assert list(x) == list(y)
            pairs = zip(x.values(), y.values(), strict=True)
        else:
            pairs = [(x, y)]
        for left, right in pairs:
            if isinstance(left, np.ndarray):
                assert left.dtype == right.dtype and left.shape == right.shape
                assert left.tobytes() == right.tobytes()
            else:
                assert left == right
    return True


def refusal(path):
    with pytest.raises(MindrawError) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return message


def test_everything_comes_back(tmp_path):
    save(tmp_path / "c.h5", EXAMPLE)
    assert same(load(tmp_path / "c.h5"), EXAMPLE)
    assert os.listdir(tmp_path) == ["c.h5"]


def test_it_is_plain_hdf5_with_a_readable_head(tmp_path):
    save(tmp_path / "c.h5", EXAMPLE)
    with h5py.File(tmp_path / "c.h5") as file:
        assert file["parameters/encoder.W"][1, 2] == 5
    assert (tmp_path / "c.h5").read_bytes().startswith(b"mindraw checkpoint 1\nsha256 ")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_flipped_bit_is_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "flipped.h5"
    # half of the flips in the header, where the checksum itself lies
    last = data.draw(st.sampled_from([BLOCK - 1, len(WHOLE) - 1]))
    place = data.draw(st.integers(0, last))
    damaged = bytearray(WHOLE)
    damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(damaged)
    refusal(path)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(WHOLE) - 1))
def test_any_file_cut_short_is_refused(tmp_path_factory, length):
    path = tmp_path_factory.getbasetemp() / "short.h5"
    path.write_bytes(WHOLE[:length])
    message = refusal(path)
    if length >= BLOCK:
        assert f"{length - BLOCK} bytes" in message and "damaged" in message


def test_what_is_not_a_checkpoint_is_refused(tmp_path):
    path = tmp_path / "c.h5"
    assert "cannot be read: No such file" in refusal(path)
    path.write_bytes(b"")
    assert "not a checkpoint" in refusal(path)
    with h5py.File(path, "w") as file:
        file["x"] = 1
    assert "not a checkpoint" in refusal(path)
    path.write_bytes(WHOLE + b"more")
    assert "damaged" in refusal(path)
    path.write_bytes(WHOLE.replace(b"checkpoint 1\n", b"checkpoint 7\n", 1))
    assert "format 7" in refusal(path)


def test_a_sound_checksum_over_something_else_is_refused(tmp_path):
    path = tmp_path / "c.h5"
    for payload in (b"not HDF5 at all", b""):
        path.write_bytes(module._header(payload) + payload)
        assert "not a checkpoint as mindraw writes it" in refusal(path)


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_failing_disk_leaves_the_last_one(tmp_path, monkeypatch, call, code):
    path = tmp_path / "c.h5"
    save(path, EXAMPLE)

    def fail(*args):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(MindrawError) as caught:
            save(path, dataclasses.replace(EXAMPLE, step=13))
    assert str(caught.value) == f"{path} cannot be written: {os.strerror(code)}"
    assert load(path).step == 12
    assert os.listdir(tmp_path) == ["c.h5"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "c.h5", tmp_path / "missing" / "c.h5"):
        with pytest.raises(MindrawError, match="cannot be written"):
            save(path, EXAMPLE)


def test_another_model_is_refused_by_the_field_that_differs(tmp_path):
    path = tmp_path / "c.h5"
    EXAMPLE.require(path, "draw", EXAMPLE.config, EXAMPLE.training)
    for kind, config, training, message in [
        ("glimpse", EXAMPLE.config, None, "of the kind 'draw', not 'glimpse'"),
        ("draw", {**EXAMPLE.config, "T": 4}, None, "trained with T = 3, not 4"),
        ("draw", {"T": 3}, None, "initial = 'learned', not None"),
        ("draw", {**EXAMPLE.config, "read_n": 5}, None, "read_n = None, not 5"),
        ("draw", EXAMPLE.config, {**EXAMPLE.training, "seed": 1}, "seed = 0, not 1"),
        (
            "draw", EXAMPLE.config, {**EXAMPLE.training, "training pictures": [0.13, 0.202]},
            "trained on as many other pictures",
        ),
    ]:  # fmt: skip
        with pytest.raises(MindrawError, match=message):
            EXAMPLE.require(path, kind, config, training)


def test_pictures_may_differ_by_how_they_were_rounded():
    assert EXAMPLE.knows([0.131, 0.199])
    assert not EXAMPLE.knows([0.13])


def test_a_run_of_another_model_is_refused(toy):
    toy.train(9)
    bigger = DrawConfig(H=4, W=5, T=2, h_enc=4, h_dec=5, z=2)
    with pytest.raises(MindrawError, match="h_dec = 3, not 5"):
        toy.train(18, config=bigger)
    with pytest.raises(MindrawError, match="seed = 3, not 4"):
        toy.train(18, seed=4)
    toy.train(18)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_loads_whatever_the_precision_of_the_backend(toy, dtype):
    toy.train(9)
    trained, m = toy.task.model.parameters.flat.copy(), toy.optimizer.m.copy()
    path = toy.run.checkpoint
    toy.build(dtype=dtype, seed=8)
    load(path).restore(path, toy.task.model.parameters, toy.optimizer)
    assert toy.task.model.parameters.flat.dtype == dtype
    assert np.array_equal(toy.task.model.parameters.flat, trained)
    assert np.array_equal(toy.optimizer.m, m) and toy.optimizer.count == 9


def test_in_whatever_order_a_file_holds_them_moments_follow_their_parameters(toy):
    toy.train(9)
    model, adam, path = toy.task.model, toy.optimizer, toy.run.checkpoint
    trained, m, v = model.parameters.flat.copy(), adam.m.copy(), adam.v.copy()
    names = model.parameters.names[::-1]

    def turned(flat):
        parts = model.parameters.like()
        parts.load(flat)
        return np.concatenate([parts[name].ravel() for name in names])

    found = load(path)
    parameters = {name: found.parameters[name] for name in names}
    found = dataclasses.replace(found, parameters=parameters, m=turned(m), v=turned(v))
    toy.build(seed=8)
    found.restore(path, toy.task.model.parameters, toy.optimizer)
    assert np.array_equal(toy.task.model.parameters.flat, trained)
    assert np.array_equal(toy.optimizer.m, m) and np.array_equal(toy.optimizer.v, v)


def test_foreign_parameters_are_refused_by_name(toy):
    toy.build()
    with pytest.raises(MindrawError, match=r"c\.h5 holds the parameter encoder\.W as \(2, 3\)"):
        EXAMPLE.restore("c.h5", toy.task.model.parameters)


def test_memory_for_little_more_than_the_file_is_needed():
    array = np.zeros(2_000_000, np.float32)
    large = dataclasses.replace(EXAMPLE, m=array, v=array, parameters={"W": array})
    tracemalloc.start()
    try:
        size = len(to_bytes(large))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size < peak < 1.5 * size
