import gzip
import struct

import numpy as np
import pytest
from data_files import digits, idx

from mindraw.data.idx import read_idx
from mindraw.errors import MindrawError

SIZE = (28, 28)


@pytest.fixture(params=["plain", "gzipped"])
def write(request, tmp_path):
    def write(content):
        path = tmp_path / "some-images"
        path.write_bytes(gzip.compress(content) if request.param == "gzipped" else content)
        return path

    return write


def test_reads_back_pictures_and_labels(write):
    images, labels = digits(7)
    np.testing.assert_array_equal(read_idx(write(idx(images)), SIZE), images)
    np.testing.assert_array_equal(read_idx(write(idx(labels)), largest=9), labels)


IMAGES = idx(digits(3)[0])


@pytest.mark.parametrize(
    ("content", "offset", "words"),
    [
        (b"", 0, "found nothing"),
        (b"<html>no such page</html>", 0, "expected 00 00 08 03"),
        (idx(digits(3)[1]), 0, "found 00 00 08 01"),
        (IMAGES[:11], 11, "ends within the 16 bytes of its header"),
        (idx(np.zeros((2, 28, 29))), 8, "expected pictures of 28 x 28 pixels, found 28 x 29"),
        (idx(np.zeros((0, 28, 28))), 4, "expected a count of 1 to 1000000, found 0"),
        (IMAGES + b"\0", len(IMAGES), "more bytes follow, but the header's count of 3"),
    ],
)
def test_refuses(write, content, offset, words):
    path = write(content)
    with pytest.raises(MindrawError) as error:
        read_idx(path, SIZE)
    message = str(error.value)
    assert message.startswith(f"{path}: at byte {offset}")
    assert words in message
    assert "\n" not in message


def test_refuses_a_truncated_plain_file(tmp_path):
    path = tmp_path / "images"
    path.write_bytes(IMAGES[:-1])
    with pytest.raises(MindrawError, match=r"at byte 4, .* end at byte 2368, more than the file"):
        read_idx(path, SIZE)


def test_refuses_truncated_contents_in_a_whole_gzip_file(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(IMAGES[:-1]))
    with pytest.raises(MindrawError, match=r"at byte 2367 of the .* the file ends, but the header"):
        read_idx(path, SIZE)


def test_refuses_a_truncated_gzip_file(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(IMAGES)[:-300])
    with pytest.raises(MindrawError, match=r"at byte \d+ .* the gzip data break off"):
        read_idx(path, SIZE)


def test_refuses_a_wrong_gzip_checksum(tmp_path):
    content = bytearray(gzip.compress(IMAGES))
    content[-8] ^= 1
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    with pytest.raises(MindrawError, match=r"at byte 2368 .* the gzip data are damaged \(CRC"):
        read_idx(path, SIZE)


def test_refuses_a_label_above_nine(write):
    with pytest.raises(MindrawError, match=r"at byte 10.* value of 0 to 9, found 12"):
        read_idx(write(idx(np.array([1, 2, 12, 99]))), largest=9)


def test_takes_no_memory_on_a_headers_word(tmp_path):
    path = tmp_path / "images"
    path.write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">3I", 1_000_000, 28, 28) + bytes(784))
    with pytest.raises(MindrawError, match="more than the file holds"):
        read_idx(path, SIZE)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MindrawError, match=r"absent: cannot be read \(No such file"):
        read_idx(tmp_path / "absent")
