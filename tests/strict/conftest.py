import pytest

from mindraw.backend import Backend


@pytest.fixture(autouse=True)
def weights_are_read_in_one_order(monkeypatch):
    """On NumPy, too, without transposed copies: with them sums may round otherwise."""
    monkeypatch.setattr(Backend, "turns_weights", False)
