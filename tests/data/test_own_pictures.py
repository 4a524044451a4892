import io
import os
import sys
import zipfile

import h5py
import numpy as np
import pytest
from data_files import png, png_claiming

from mindraw import data
from mindraw.errors import MindrawError

Image = pytest.importorskip("PIL.Image")

RNG = np.random.default_rng(4)
GREY = RNG.integers(0, 256, (12, 9, 7), np.uint8)
COLOUR = RNG.integers(0, 256, (12, 9, 7, 3), np.uint8)


def write_folder(folder, pictures, ending="png"):
    folder.mkdir(parents=True, exist_ok=True)
    for at, pixels in enumerate(pictures):
        (folder / f"{at:03}.{ending}").write_bytes(png(pixels))
    return folder


def everything(dataset):
    """All pictures in their order on disk, as bytes (n, C, H, W)."""
    n = dataset.train.size + dataset.test.size
    test, train = data.draws.chosen(data.sets.pictures.KEY, n, dataset.test.size)
    found = np.empty((n, *dataset.shape))
    for split, rows in ((dataset.train, train), (dataset.test, test)):
        found[rows] = split.images(range(split.size)).reshape(-1, *dataset.shape) * 255
    return np.rint(found).astype(np.uint8)


def load(place, **options):
    return data.load("pictures", place, **options)


def refused(words, place, **options):
    with pytest.raises(MindrawError, match=words) as error:
        load(place, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


# ------------------------------------------------------------------ the split


def test_one_in_ten_is_kept_to_test(tmp_path):
    pictures = np.zeros((57, 4, 5), np.uint8)
    pictures[:, 0, 0] = np.arange(57)
    np.save(tmp_path / "mine.npy", pictures)
    dataset = load(tmp_path / "mine.npy", seed=3)
    train, test = (
        (split.images(range(split.size))[:, 0] * 255).round().astype(int).tolist()
        for split in (dataset.train, dataset.test)
    )
    assert len(test) == 5 and sorted(train + test) == list(range(57))
    assert train == sorted(train) and test == sorted(test)
    for seed in (3, 4):
        again = load(tmp_path / "mine.npy", seed=seed).test
        np.testing.assert_array_equal(again.images(range(5)), dataset.test.images(range(5)))
    assert dataset.source == (
        f"pictures: 52 to train on, 5 to test, 4 x 5 pixels in grey, from {tmp_path / 'mine.npy'}"
    )
    assert (dataset.valid, dataset.train.labels, dataset.stand_in) == (None, None, False)


@pytest.mark.parametrize("n, test", [(2, 1), (9, 1), (19, 1), (20, 2)])
def test_each_part_has_a_picture(tmp_path, n, test):
    np.save(tmp_path / "mine.npy", np.zeros((n, 2, 2), np.uint8))
    dataset = load(tmp_path / "mine.npy")
    assert (dataset.train.size, dataset.test.size) == (n - test, test)


def test_one_picture_is_too_few(tmp_path):
    np.save(tmp_path / "mine.npy", np.zeros((1, 2, 2), np.uint8))
    refused("holds one picture: expected at least two", tmp_path / "mine.npy")


# ------------------------------------------------------------------ folders


def test_a_folder_of_grey_pictures(tmp_path):
    dataset = load(write_folder(tmp_path / "mine", GREY))
    assert dataset.shape == (1, 9, 7)
    np.testing.assert_array_equal(everything(dataset)[:, 0], GREY)


def test_a_folder_of_colour_pictures(tmp_path):
    dataset = load(write_folder(tmp_path / "mine", COLOUR))
    assert dataset.shape == (3, 9, 7)
    np.testing.assert_array_equal(everything(dataset), COLOUR.transpose(0, 3, 1, 2))


def test_folders_in_it_count_and_hidden_files_do_not(tmp_path):
    for at, place in enumerate(("b/deep", ".", "a")):
        write_folder(tmp_path / place, GREY[4 * at : 4 * at + 4], "PNG")
    for name in (".hidden.png", "notes.txt", ".cache/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no picture")
    np.testing.assert_array_equal(
        everything(load(tmp_path))[:, 0], np.concatenate([GREY[4:8], GREY[8:], GREY[:4]])
    )


def test_one_in_colour_makes_all_so(tmp_path):
    write_folder(tmp_path, [*GREY[:3], COLOUR[3]])
    found = everything(load(tmp_path))
    assert found.shape == (4, 3, 9, 7)
    np.testing.assert_array_equal(found[:3], GREY[:3, None].repeat(3, 1))
    np.testing.assert_array_equal(found[3], COLOUR[3].transpose(2, 0, 1))


def test_kinds_of_png(tmp_path):
    """Palettes, 16 bits, one bit and transparency all give the grey values one sees."""
    grey = GREY[0]
    image = Image.fromarray(grey)
    palette = image.convert("P")
    palette.save(tmp_path / "0.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "1.png")
    image.point(lambda value: 255 * (value > 99)).convert("1").save(tmp_path / "2.png")
    clear = np.dstack([np.zeros_like(grey), 255 - grey])  # black ink, as it shows on white
    Image.fromarray(clear).save(tmp_path / "3.png")
    found = everything(load(tmp_path))
    assert found.shape == (4, 1, 9, 7)
    np.testing.assert_array_equal(found[[0, 1], 0], [grey, grey])
    np.testing.assert_array_equal(found[2, 0], 255 * (grey > 99))
    np.testing.assert_allclose(found[3, 0].astype(int), grey, atol=1)


def test_jpeg_is_turned_as_its_camera_says(tmp_path):
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8, :, 0] = 255  # red above
    pixels[:, :12, 2] = 255  # blue at the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    for name in ("a.jpg", "b.JPEG"):
        Image.fromarray(pixels).save(tmp_path / name, "JPEG", exif=exif, quality=95)
    found = everything(load(tmp_path)).astype(int)
    want = np.rot90(pixels, -1).transpose(2, 0, 1)
    assert found.shape == (2, 3, 24, 16)
    assert np.abs(found - want).mean() < 12


def test_sizes_that_differ_are_refused_unless_one_is_given(tmp_path):
    write_folder(tmp_path, GREY[:3])
    (tmp_path / "big.png").write_bytes(png(np.full((30, 20), 7, np.uint8)))
    told = refused(r"differ in size \(.*000.png is 9 x 7, .*big.png is 30 x 20 pixels\)", tmp_path)
    assert told.endswith("give one with --size")
    dataset = load(tmp_path, size=(8, 6))
    assert dataset.shape == (1, 8, 6)
    np.testing.assert_array_equal(everything(dataset)[3], 7)


@pytest.mark.parametrize("kind", ["folder", "array"])
def test_scaling_keeps_proportions_and_the_middle(tmp_path, kind):
    pixels = np.zeros((3, 20, 60, 3), np.uint8)
    pixels[:, :, :20] = 50  # cut off
    pixels[:, :10, 20:40, 1] = 200
    pixels[:, :, 40:] = 90  # cut off
    place = tmp_path / "mine.npy"
    if kind == "folder":
        place = write_folder(tmp_path / "mine", pixels)
    else:
        np.save(place, pixels)
    found = everything(load(place, size=10))
    assert found.shape == (3, 3, 10, 10)
    np.testing.assert_array_equal(found[:, 1, :4, 1:9], 200)
    np.testing.assert_array_equal(found[:, 1, 6:, 1:9], 0)
    assert not found[:, [0, 2], :, 1:9].any()


@pytest.mark.parametrize("size", [0, -1, 4097, (3, 0), (1, 2, 3)])
def test_senseless_sizes(tmp_path, size):
    np.save(tmp_path / "mine.npy", GREY)
    refused("the size of pictures is .*: use a number of 1 to 4096", tmp_path, size=size)


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "expected a PNG or JPEG picture, found something else"),
        (b"<html>", "expected a PNG or JPEG picture, found something else"),
        (b"GIF89a" + bytes(30), "expected a PNG or JPEG picture, found something else"),
        (png(GREY[0])[:60], "expected a PNG or JPEG picture, found it damaged"),
        (png_claiming(11, 9), "expected a PNG or JPEG picture, found it damaged"),
        (png_claiming(20_000, 20_000), "expected at most 67108864 pixels"),
        (png_claiming(9000, 9000), "expected at most 67108864 pixels, found a picture of 9000"),
    ],
)
def test_unreadable_pictures_are_named(tmp_path, content, words):
    write_folder(tmp_path, GREY[:2])
    (tmp_path / "bad.png").write_bytes(content)
    assert str(tmp_path / "bad.png") in refused(words, tmp_path)


def test_a_folder_without_pictures(tmp_path):
    (tmp_path / "notes.txt").write_bytes(b"x")
    refused(r"there are no pictures in .*: expected files ending in \.png, \.jpg", tmp_path)


# ------------------------------------------------------------------ arrays

ARRAYS = {
    "bytes": (GREY, GREY[:, None]),
    "bools": (GREY > 99, 255 * (GREY > 99)[:, None]),
    "half": ((GREY / 255).astype(np.float16), None),
    "single": ((GREY / 255).astype(np.float32), GREY[:, None]),
    "double, big-endian": ((GREY / 255).astype(">f8"), GREY[:, None]),
    "in Fortran's order": (np.asfortranarray(GREY), GREY[:, None]),
    "channels last": (COLOUR, COLOUR.transpose(0, 3, 1, 2)),
    "channels second": (COLOUR.transpose(0, 3, 1, 2), COLOUR.transpose(0, 3, 1, 2)),
    "one channel last": (GREY[..., None], GREY[:, None]),
    "one channel second": (GREY[:, None], GREY[:, None]),
}


def write_array(path, array, **more):
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez_compressed(path, pictures=array, **more)
    else:
        with h5py.File(path, "w") as file:
            packed = {"compression": "gzip"} if np.ndim(array) else {}
            file.create_dataset("some/pictures", data=array, **packed)
            for name, value in more.items():
                file[name] = value
    return path


FILES = ["x.npy", "x.npz", "x.h5", "x.HDF5"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays(tmp_path, file, kind):
    array, want = ARRAYS[kind]
    found = everything(load(write_array(tmp_path / file, array)))
    if want is None:  # half precision is less than a byte's
        np.testing.assert_allclose(found[:, 0].astype(int), GREY, atol=1)
    else:
        np.testing.assert_array_equal(found, want)


def test_one_of_several_arrays_is_named(tmp_path):
    other = np.zeros((4, 5, 6), np.uint8)
    npz = write_array(tmp_path / "x.npz", GREY, other=other)
    h5 = write_array(tmp_path / "x.h5", GREY, other=other)
    for place in (f"{npz}:other", f"{h5}:other", f"{h5}:/other"):
        assert load(place).shape == (1, 5, 6)
    assert load(f"{h5}:some/pictures").shape == load(f"{npz}:pictures").shape == (1, 9, 7)
    refused(r"expected one array or a name, as in .*x\.npz:NAME, found 'other', 'pict", npz)
    refused(r"expected one array or a name, as in .*x\.h5:NAME, found 'other', 'some/p", h5)
    refused("expected an array 'more', found 'other', 'pictures'", f"{npz}:more")
    refused("expected an array 'more', found 'other', 'some/pictures'", f"{h5}:more")
    np.save(tmp_path / "x.npy", GREY)
    refused("holds one array, without a name: leave :other out", f"{tmp_path / 'x.npy'}:other")


class Exploding:
    """Says so when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


WRONG = {
    "objects": (np.array([[[Exploding()]]], object), "expected|damaged"),
    "integers": (GREY.astype(int), "expected uint8, or floating-point .*, found int64"),
    "complex": (GREY * 1j, "expected uint8, or floating-point .*, found complex128"),
    "text": (np.full((3, 2, 2), b"a"), r"expected uint8, or floating-point .*, found \|S1"),
    "records": (np.zeros((3, 2, 2), "u1,u1"), "expected uint8, or floating-point"),
    "a table": (GREY.reshape(12, 63), r"expected an array \(n, H, W\).* found \(12, 63\)"),
    "five axes": (GREY[None, None], r"expected an array .*found \(1, 1, 12, 9, 7\)"),
    "four channels": (np.zeros((5, 8, 8, 4), np.uint8), r"expected an array .*\(5, 8, 8, 4\)"),
    "two readings": (np.zeros((5, 3, 8, 3), np.uint8), "channels of .* could come second or last"),
    "a number": (np.uint8(3), "expected"),
    "NaN": (np.where(GREY == GREY[7, 1, 2], np.nan, GREY / 255), "expected values in .* found nan"),
    "above one": (GREY / 1.0, r"expected values in \[0, 1\], found .*: divide them"),
    "below zero": (GREY / -255.0 - 1e-3, r"picture 0, expected values in \[0, 1\], found -"),
    "infinite": (np.full((3, 2, 2), np.inf), "found inf: put a number in its"),
}


@pytest.mark.parametrize("file", FILES[:3])
@pytest.mark.parametrize("kind", WRONG)
def test_wrong_arrays_are_refused(tmp_path, monkeypatch, file, kind):
    monkeypatch.chdir(tmp_path)
    array, words = WRONG[kind]
    if kind == "objects" and file == "x.h5":
        pytest.skip("HDF5 has no objects")
    assert file in refused(words, write_array(tmp_path / file, array))
    assert not os.path.exists("unpickled")


def test_where_nan_is_it_is_told(tmp_path):
    array = np.zeros((600, 2, 2))
    array[301, 1, 0] = np.nan
    refused("picture 301, expected values in", write_array(tmp_path / "x.npy", array))


def header(shape, dtype="|u1"):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"PK\3\4" + bytes(40),
        b"\x80\x04N.",
        header((1 << 40, 64, 64)) + bytes(64),
        header((1 << 62, 1 << 62, 64)) + bytes(64),
        header((-1, 8, 8)) + bytes(64),
        header((0, 8, 8)),
        header((2, 8, 8)) + bytes(127),
    ],
)
def test_damaged_npy_files_are_refused(tmp_path, content):
    (tmp_path / "x.npy").write_bytes(content)
    assert str(tmp_path / "x.npy") in refused("expected a", tmp_path / "x.npy")


def zipped(members, kind=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as file:
        for name, content in members:
            info = zipfile.ZipInfo(name)  # of no time: what it makes also names a test
            info.compress_type = kind
            file.writestr(info, content)
    return buffer.getvalue()


NPY = header((2, 8, 8)) + bytes(128)


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "expected a .npz file"),
        (NPY, "expected a .npz file"),
        (zipped([]), "expected one array or a name, .* found none"),
        (zipped([("x.txt", b"")]), "expected one array or a name, .* found none"),
        (zipped([("x.npy", b"")]), "expected a .npz file of arrays"),
        (zipped([("x.npy", NPY[:-1])]), "'x.npy' claims 128 bytes, more than the file holds|ends"),
        (zipped([("x.npy", NPY + b"1")]), "'x.npy' goes on after its 128 bytes"),
        (zipped([("x.npy", header((1 << 40, 64, 64)))]), "'x.npy' claims .* more than the file"),
        (zipped([("x.npy", header((-4, 8, 8)))]), "expected an array"),
        (zipped([("x.npy", NPY)], zipfile.ZIP_LZMA), "'x.npy', expected it stored or deflated"),
        (zipped([("x.npy", NPY)])[:-30], "expected a .npz file"),
        (zipped([("x.npy", NPY)], 0).replace(bytes(128), b"\1" * 128), "CRC"),
        (zipped([("x.npy", b"\x93NUMPY\3" + NPY[7:])]), r"expected \.npy version 1\.0 or 2\.0"),
    ],
)
def test_damaged_npz_files_are_refused(tmp_path, content, words):
    (tmp_path / "x.npz").write_bytes(content)
    assert str(tmp_path / "x.npz") in refused(words, tmp_path / "x.npz")


def claiming(file):
    file.create_dataset("x", (1 << 30, 64, 64), "u1", chunks=(1, 64, 64))


def of_large_chunks(file):
    space = h5py.h5s.create_simple((2, 64, 64), (h5py.h5s.UNLIMITED, 64, 64))
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk((1 << 18, 64, 64))
    h5py.h5d.create(file.id, b"x", h5py.h5t.STD_U8LE, space, made)


def external(file):
    file.create_dataset("x", (2, 2, 2), "u1", external=[("/etc/hostname", 0, 8)])


def virtual(file):
    layout = h5py.VirtualLayout((2, 2, 2), "u1")
    layout[...] = h5py.VirtualSource("other.h5", "x", (2, 2, 2))
    file.create_virtual_dataset("x", layout)


def linked(file):
    file["x"] = h5py.ExternalLink("other.h5", "x")
    file["y"] = h5py.SoftLink("/nowhere")
    file["z"] = file["/"]


@pytest.mark.parametrize(
    "make, words",
    [
        (claiming, "'/x' cannot be read, since it claims 4398046511104 bytes, but 0 are stored"),
        (of_large_chunks, "'/x' cannot be read, since its chunks of"),
        (external, "'/x' cannot be read, since its contents lie in other files"),
        (virtual, "'/x' cannot be read, since its contents lie in other files"),
        (linked, "expected one array or a name, .* found none"),
    ],
)
def test_hostile_hdf5_files_are_refused(tmp_path, monkeypatch, make, words):
    monkeypatch.chdir(tmp_path)
    with h5py.File("other.h5", "w") as file:
        file["x"] = np.ones((2, 2, 2), np.uint8)
    with h5py.File("x.h5", "w") as file:
        make(file)
    refused(words, tmp_path / "x.h5")


def test_an_hdf5_file_that_is_none(tmp_path):
    (tmp_path / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    refused("expected an HDF5 file of pictures, found no HDF5 file or", tmp_path / "x.h5")


# ------------------------------------------------------------------ options


def test_no_path_is_refused():
    refused("pictures does not know yours: use --data with a folder of PNG", None)


@pytest.mark.parametrize("name", ["nowhere", "nowhere.npy", "nowhere.h5:x", "nowhere:x"])
def test_what_is_not_there(tmp_path, name):
    refused("there is no .*nowhere.*: expected a folder of pictures or a file", tmp_path / name)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "x.gif").write_bytes(b"GIF89a")
    refused(r"x\.gif: expected a folder of pictures, or a file ending in \.npy", tmp_path / "x.gif")


def test_grey_pictures_can_be_binarised(tmp_path):
    np.save(tmp_path / "x.npy", GREY)
    fixed, afresh = (load(tmp_path / "x.npy", binarise=how) for how in ("fixed", "stochastic"))
    for dataset in (fixed, afresh):
        assert set(np.unique(dataset.train.images(range(11), 0))) == {0, 1}
        same = dataset.train.images(range(11), 0) == dataset.train.images(range(11), 1)
        assert same.all() == (dataset is fixed)
    np.save(tmp_path / "colour.npy", COLOUR)
    refused("are in colour: leave binarise at none", tmp_path / "colour.npy", binarise="fixed")


def test_without_pillow_the_extra_is_named(tmp_path, monkeypatch):
    write_folder(tmp_path, GREY[:2])
    np.save(tmp_path / "x.npy", GREY)
    monkeypatch.setitem(sys.modules, "PIL", None)
    refused(r"needs Pillow: pip install 'mindraw\[examples\]'", tmp_path)
    refused(r"needs Pillow: pip install 'mindraw\[examples\]'", tmp_path / "x.npy", size=4)
    assert load(tmp_path / "x.npy").shape == (1, 9, 7)


def test_what_does_not_fit_into_memory(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", GREY)

    def full(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr("mindraw.data.arrays._pictures", full)
    refused("do not fit into memory: give a smaller --size", tmp_path / "x.npy")
