import hashlib
import http.server
import socket
import threading
import time

import numpy as np
import pytest
from data_files import write_binarized, write_house_numbers, write_mnist

from mindraw import data
from mindraw.data import cache, fetch, locate
from mindraw.data.fetch import Remote, Unreachable
from mindraw.data.sets import binarized_mnist, mnist, svhn_numbers

pytest.importorskip("pooch")


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.files` in the manner that the first part of the address asks for."""

    def do_GET(self):
        self.server.asked.append(self.path)
        _, manner, name = self.path.split("/")
        content = self.server.files[name]
        if manner == "missing":
            self.send_error(404)
            return
        if manner == "wrong":
            content = content[:-1] + bytes([content[-1] ^ 1])
        if manner == "silent":
            self.server.over.wait(30)
            return
        self.send_response(200)
        if manner != "endless":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        try:
            if manner == "endless":
                for _ in range(100):
                    self.wfile.write(bytes(1 << 16))
            elif manner == "stalling":
                self.wfile.write(content[:-1])
                self.server.over.wait(30)
            elif manner == "trickling":
                for i in range(0, len(content), 500):
                    self.wfile.write(content[i : i + 500])
                    if self.server.over.wait(0.02):
                        return
            elif manner == "broken":
                self.wfile.write(content[: len(content) // 2])
            else:
                self.wfile.write(content)
        except OSError:
            pass  # the client has hung up

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.files, server.asked, server.over = {}, [], threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def remote(server):
    return put(server, "file.bin", bytes(range(256)) * 4000)


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(fetch, "PATIENCE", 0.8)


def put(server, name, content):
    server.files[name] = content
    return Remote(name, len(content), hashlib.sha256(content).hexdigest())


def refused():
    """An address at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"


def test_brings_a_file(server, remote, tmp_path):
    fetch.fetch([remote], [f"{server.url}/good/"], tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file.bin"]
    assert (tmp_path / "new" / "file.bin").read_bytes() == server.files["file.bin"]


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("missing", "answered 404 for file.bin"),
        ("wrong", "sent a file.bin with a SHA-256 other than the official"),
        ("silent", r"was too slow \(0 kB per second\)"),
        ("stalling", "was too slow"),
        ("trickling", r"was too slow \(\d+ kB per second\)"),
        ("endless", "sent more than the 1024000 bytes of file.bin"),
        ("broken", "broke off in file.bin"),
    ],
)
def test_a_bad_mirror_leaves_nothing_and_the_next_is_asked(
    server, remote, tmp_path, hurried, manner, reason
):
    bad, good = f"{server.url}/{manner}/", f"{server.url}/good/"
    with pytest.raises(Unreachable, match=f"127.0.0.1:{server.server_port} ({reason})") as error:
        fetch.fetch([remote], [bad], tmp_path)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
    fetch.fetch([remote], [bad, good], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


def test_a_refused_connection_costs_no_time(server, remote, tmp_path):
    started = time.monotonic()
    with pytest.raises(Unreachable, match=r"could not be reached; .* could not be reached"):
        fetch.fetch([remote], [refused(), refused()], tmp_path)
    assert time.monotonic() - started < 2


def test_a_mirror_that_fails_is_left_for_good(server, tmp_path):
    remotes = [put(server, f"file-{i}", bytes(100)) for i in range(4)]
    fetch.fetch(remotes, [f"{server.url}/missing/", f"{server.url}/good/"], tmp_path)
    assert server.asked == ["/missing/file-0", *(f"/good/file-{i}" for i in range(4))]


def test_stalled_mirrors_cost_seconds(server, remote, tmp_path):
    """With the real limits: one silent mirror, then one that works."""
    started = time.monotonic()
    fetch.fetch([remote], [f"{server.url}/silent/", f"{server.url}/good/"], tmp_path)
    assert time.monotonic() - started < 8


def test_time_lost_is_limited(server, remote, tmp_path, hurried, monkeypatch):
    monkeypatch.setattr(fetch, "LOSS", 1.2)
    with pytest.raises(Unreachable):
        fetch.fetch([remote], [f"{server.url}/stalling/"] * 9, tmp_path)
    assert len(server.asked) <= 2


def test_a_name_that_is_never_resolved_costs_seconds(remote, tmp_path, hurried, monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: over.wait(30) and [])
    started = time.monotonic()
    with pytest.raises(Unreachable, match="was too slow"):
        fetch.fetch([remote], ["http://nowhere.invalid/"], tmp_path)
    over.set()
    assert time.monotonic() - started < 3
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_cache_is_named(server, remote, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unreachable, match="cannot be written"):
        fetch.fetch([remote], [f"{server.url}/good/"], tmp_path / "file" / "cache")


def test_offline_asks_nobody(server, remote, tmp_path, monkeypatch):
    monkeypatch.setenv("MINDRAW_OFFLINE", "1")
    with pytest.raises(Unreachable, match="MINDRAW_OFFLINE"):
        fetch.fetch([remote], [f"{server.url}/good/"], tmp_path)
    assert server.asked == []
    monkeypatch.setenv("MINDRAW_OFFLINE", "0")
    fetch.fetch([remote], [f"{server.url}/good/"], tmp_path)
    assert server.asked != []


def official(server, of, folder):
    """The data set `of`, published on the server from the files in `folder`."""
    files = tuple(
        put(server, remote.name, (folder / remote.name).read_bytes()) for remote in of.files
    )
    return of._replace(files=files, mirrors=(f"{server.url}/good/",))


@pytest.fixture
def published(server, tmp_path, monkeypatch):
    arrays = write_mnist(tmp_path / "server")
    monkeypatch.setattr(mnist, "OFFICIAL", official(server, mnist.OFFICIAL, tmp_path / "server"))
    return arrays


def test_mnist_is_downloaded_once(server, published):
    for _ in range(2):
        dataset = data.load("mnist")
        np.testing.assert_array_equal(dataset.train.pixels, published[0].reshape(6, 784))
        assert dataset.source.endswith(f"from {cache.folder() / 'mnist'}")
    assert len(server.asked) == 4


def test_only_missing_files_are_fetched(server, published):
    data.load("mnist")
    (cache.folder() / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    data.load("mnist")
    assert server.asked[4:] == ["/good/t10k-labels-idx1-ubyte.gz"]


def test_the_cache_comes_before_debians_package(server, published):
    write_mnist(locate.SYSTEM / "mnist", seed=5)
    data.load("mnist")
    assert server.asked == []
    fetch.fetch(mnist.OFFICIAL.files, mnist.OFFICIAL.mirrors, cache.folder() / "mnist")
    assert data.load("mnist").source.endswith(f"from {cache.folder() / 'mnist'}")


def test_a_tampered_file_in_the_cache_is_refused(published):
    data.load("mnist")
    path = cache.folder() / "mnist" / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(
        data.MindrawError, match=r"has SHA-256 \w+, expected \w+: delete it"
    ) as error:
        data.load("mnist")
    assert str(path) in str(error.value)


def test_the_binarised_mnist_is_downloaded(server, tmp_path, monkeypatch):
    arrays = write_binarized(tmp_path / "server")
    published = official(server, binarized_mnist.OFFICIAL, tmp_path / "server")
    monkeypatch.setattr(binarized_mnist, "OFFICIAL", published)
    for _ in range(2):
        dataset = data.load("binarized-mnist")
        np.testing.assert_array_equal(dataset.valid.images(range(3)), arrays[1])
    assert len(server.asked) == 3


def test_what_a_folder_may_lack_is_downloaded_too(server, tmp_path, monkeypatch):
    pytest.importorskip("PIL")
    write_house_numbers(tmp_path / "server")
    own = svhn_numbers.OFFICIAL
    whole = own._replace(files=own.files + own.optional, optional=())
    *files, extra = official(server, whole, tmp_path / "server").files
    mirrors = (f"{server.url}/good/",)
    published = own._replace(files=tuple(files), optional=(extra,), mirrors=mirrors)
    monkeypatch.setattr(svhn_numbers, "OFFICIAL", published)
    for _ in range(2):
        dataset = data.load("svhn-numbers")
        assert (dataset.train.size, dataset.valid.size, dataset.test.size) == (49, 5, 5)
    assert len(server.asked) == 3
    (cache.folder() / "svhn-numbers" / "extra.tar.gz").write_bytes(b"")
    with pytest.raises(data.MindrawError, match=r"extra\.tar\.gz: .* has SHA-256 .* delete it"):
        data.load("svhn-numbers")


def test_the_official_tables_are_well_formed():
    from mindraw.data.sets import cifar10, fashion_mnist, svhn

    for module in (mnist, fashion_mnist, binarized_mnist, svhn, svhn_numbers, cifar10):
        files = module.OFFICIAL.files + module.OFFICIAL.optional
        assert len({remote.sha256 for remote in files}) == len(files)
        for remote in files:
            assert len(bytes.fromhex(remote.sha256)) == 32
        for mirror in module.OFFICIAL.mirrors:
            assert mirror.startswith("http") and mirror.endswith("/")
