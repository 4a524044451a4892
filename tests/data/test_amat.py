import gzip

import numpy as np
import pytest
from data_files import amat

from mindraw.data import amat as module
from mindraw.data.amat import read_amat
from mindraw.errors import MindrawError

D = 12
BITS = np.random.default_rng(0).integers(0, 2, (7, D), dtype=np.uint8)
TEXT = amat(BITS)


@pytest.fixture(params=["plain", "gzipped"])
def write(request, tmp_path):
    def write(content):
        path = tmp_path / "some.amat"
        path.write_bytes(gzip.compress(content) if request.param == "gzipped" else content)
        return path

    return write


@pytest.mark.parametrize("at_once", [1, 3, 7, 100])
def test_reads_back(write, monkeypatch, at_once):
    monkeypatch.setattr(module, "ROWS_AT_ONCE", at_once)
    bits = read_amat(write(TEXT), D, most_rows=7)
    np.testing.assert_array_equal(np.unpackbits(bits, axis=1, count=D), BITS)


def changed(at, byte):
    return TEXT[:at] + byte + TEXT[at + 1 :]


@pytest.mark.parametrize("at_once", [1, 3, 100])
@pytest.mark.parametrize(
    ("content", "offset", "words"),
    [
        (b"", 0, "expected rows of 12 digits, found nothing"),
        (changed(26, b"2"), 26, "row 2, expected a digit 0 or 1, found b'2'"),
        (changed(27, b"\t"), 27, "row 2, expected a space, found b'\\t'"),
        (changed(27, b"!"), 27, "row 2, expected a space, found b'!'"),
        (changed(47, b" "), 47, "row 2, expected a newline, found b' '"),
        (TEXT[:-1], len(TEXT) - 1, "ends within row 7"),
        (TEXT + TEXT[:24], len(TEXT), "expected at most 7 rows"),
        (TEXT + b"\0", len(TEXT) + 1, "ends within row 8"),
    ],
)
def test_refuses(write, monkeypatch, at_once, content, offset, words):
    monkeypatch.setattr(module, "ROWS_AT_ONCE", at_once)
    path = write(content)
    with pytest.raises(MindrawError) as error:
        read_amat(path, D, most_rows=7)
    message = str(error.value)
    assert message.startswith(f"{path}: at byte {offset}")
    assert words in message
    assert "\n" not in message
