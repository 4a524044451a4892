"""How commands end: one sentence, an exit code, and no traceback."""

import errno
import io
import os
import sys

import pytest

from mindraw import MindrawError
from mindraw.commands import Parser, guarded, tell
from mindraw.team import shared_zeros


def raising(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (MindrawError("T is 0"), 2, "T is 0"),
        (OSError(errno.ENOSPC, "No space left on device", "x.csv"), 2, "x.csv: No space left"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "the disk: No space left on device"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 2, "there is not enough memory here"),
        (MemoryError("Unable to allocate 1 TiB"), 2, "memory here (Unable to allocate 1 TiB): a"),
        (OverflowError("too large for a C long"), 2, "not enough memory here (too large for a C"),
        (KeyboardInterrupt(), 130, "stopped outside of training"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(error, code, sentence, capsys):
    assert guarded(raising(error)) == code
    out, err = capsys.readouterr()
    assert out == "" and sentence in err and err.count("\n") == 1


def test_a_command_that_ends_well_gives_its_own_code(capsys):
    assert guarded(lambda: None) == 0
    assert guarded(lambda code: code, 7) == 7
    assert capsys.readouterr() == ("", "")


def test_nobody_reads_what_it_prints(capfd):
    assert guarded(raising(BrokenPipeError(errno.EPIPE, "Broken pipe"))) == 141
    assert capfd.readouterr().err == ""


def test_nobody_reads_what_is_wrong(monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(sys, "stderr", Closed())
    tell("nothing")
    assert guarded(raising(MindrawError("T is 0"))) == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_under_stdout(capfd, monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert guarded(print, "much") == 2
    assert capfd.readouterr().err == "the disk: No space left on device\n"


def test_letters_that_a_terminal_lacks_are_spelled(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii"))
    assert guarded(print, "\u00fcber") == 0
    assert raw.getvalue() == b"\\xfcber\n"


def test_words_that_a_parser_cannot_read():
    parser = Parser()
    parser.add_argument("--n", type=int)
    with pytest.raises(MindrawError, match=r"invalid int value: 'x': see --help$"):
        parser.parse_args(["--n", "x"])


def test_more_memory_than_there_is_is_told_with_its_size():
    with pytest.raises(MemoryError, match="GiB in one piece"):
        shared_zeros((2**40, 2**30), "float32")
