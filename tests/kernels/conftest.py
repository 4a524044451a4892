import emulation
import pytest

from mindraw.kernels import fused


@pytest.fixture(scope="session")
def libraries(tmp_path_factory):
    reason = emulation.why_not()
    if reason is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("cuda")
    return {char: emulation.build(folder, char, fused.source()) for char in fused.REAL}


@pytest.fixture(params=[False, True], ids=["forwards", "backwards"])
def emulated(request, libraries, monkeypatch):
    """`fused` on NumPy arrays, with the threads of a block in one order and in the other."""

    def kernel(name, char):
        return emulation.Kernel(libraries[char], name, request.param)

    monkeypatch.setattr(fused, "_kernel", kernel)
    return fused
