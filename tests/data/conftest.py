import socket

import pytest

from mindraw.data import locate


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """A machine with an empty cache, no data and no network but its own loopback."""
    for name in ("MINDRAW_DATA", "MINDRAW_OFFLINE", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MINDRAW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(locate, "SYSTEM", tmp_path / "usr-share-datasets")
    look_up = socket.getaddrinfo

    def loopback_only(host, *arguments, **options):
        if host != "127.0.0.1":
            raise socket.gaierror(f"no network in tests: {host}")
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", loopback_only)
