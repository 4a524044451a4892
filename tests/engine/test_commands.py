"""How commands end: one sentence, an exit code, and no traceback."""

import errno
import gc
import io
import os
import sys

import pytest

from mindraw import MindrawError, memory, team
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


def test_more_memory_than_there_is_is_told_with_its_size(monkeypatch):
    monkeypatch.setattr(memory, "left", lambda: None)
    with pytest.raises(MemoryError, match="GiB in one piece"):
        shared_zeros((2**40, 2**30), "float32")


def test_more_memory_than_is_left_is_refused_before_it_is_used(monkeypatch):
    """With what was given out before, and is not used yet."""
    gib = (2**28,)
    gc.collect()
    used = sum(team._given_out.values())
    monkeypatch.setattr(memory, "shared_in_use", lambda: used)
    monkeypatch.setattr(memory, "left", lambda: 3 << 29)
    held = shared_zeros(gib, "float32")
    with pytest.raises(MemoryError, match=r"^2.0 GiB are needed and 1.5 GiB are left$"):
        shared_zeros(gib, "float32")
    shared_zeros((10,), "float32")  # too little to look
    touched = used + held.nbytes
    monkeypatch.setattr(memory, "shared_in_use", lambda: touched)
    shared_zeros(gib, "float32")
    del held
    assert sum(team._given_out.values()) == used


def test_how_much_memory_is_left(tmp_path, monkeypatch):
    for name in ("PROC", "CGROUP"):
        monkeypatch.setattr(memory, name, tmp_path / name)
    assert memory.left() is None and memory.shared_in_use() == 0

    def write(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    write("PROC/meminfo", "MemTotal:  900 kB\nMemAvailable:  700 kB\nHugePages_Total:  0\n")
    write("PROC/self/status", "Name:\tpython\nRssShmem:\t  12 kB\nThreads:\t3\n")
    assert memory.left() == 700 << 10 and memory.shared_in_use() == 12 << 10
    # a container, without and with a limit; what it holds of files gives way
    write("CGROUP/memory.max", "max\n")
    write("CGROUP/memory.current", "500\n")
    write("CGROUP/memory.stat", "anon 300\ninactive_file 20\nactive_file 100\n")
    assert memory.left() == 700 << 10
    write("CGROUP/memory.max", "1000\n")
    assert memory.left() == 1000 - 500 + 120
    write("CGROUP/memory/memory.limit_in_bytes", "800\n")
    write("CGROUP/memory/memory.usage_in_bytes", "600\n")
    write("CGROUP/memory/memory.stat", "inactive_file 0\nactive_file 7\n")
    assert memory.left() == 207


@pytest.mark.skipif(not memory.PROC.joinpath("meminfo").exists(), reason="needs Linux's /proc")
def test_shared_memory_counts_once_it_is_touched():
    gc.collect()
    used = memory.shared_in_use()
    held = shared_zeros((2**26,), "float32")
    assert memory.shared_in_use() - used < 1 << 20
    held[:] = 1
    assert memory.shared_in_use() - used > 0.99 * held.nbytes


@pytest.mark.skipif(not memory.PROC.joinpath("meminfo").exists(), reason="needs Linux's /proc")
def test_what_is_left_is_some_of_what_there_is():
    assert 1 << 20 < memory.left() < memory.kilobytes(memory.PROC / "meminfo")["MemTotal"]
