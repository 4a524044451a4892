"""The CUDA kernels on the CPU: compiled by g++ with `emulate.h`, launched as CuPy launches them."""

import ctypes
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from mindraw.kernels import fused

HERE = Path(__file__).parent


def why_not():
    """Say why the kernels cannot be emulated here, or return None where they can."""
    if not sys.platform.startswith("linux"):
        return "the emulation of CUDA threads is written for Linux"
    return None if shutil.which("g++") else "g++ is not installed"


def build(folder, char, text):
    """Compile the kernels of a source for one dtype and return the library."""
    names = re.findall(r"^KERNEL (\w+)\(", text, re.MULTILINE)
    launchers = "".join(f"LAUNCHER({name})\n" for name in names)
    unit, library = folder / f"kernels_{char}.cpp", folder / f"kernels_{char}.so"
    unit.write_text(f'#include "{HERE / "emulate.h"}"\n{text}\n{launchers}')
    subprocess.run(
        ["g++", "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off",
         "-shared", "-fPIC", f"-Dreal={fused.REAL[char]}", str(unit), "-o", str(library)],
        check=True,
    )  # fmt: skip
    return ctypes.CDLL(str(library))


class Kernel:
    """A kernel that is called as ``cupy.RawKernel`` is: grid, block, arguments."""

    def __init__(self, library, name, reverse):
        self.launch = getattr(library, f"launch_{name}")
        self.launch.restype = ctypes.c_char_p
        self.reverse = reverse

    def __call__(self, grid, block, arguments):
        boxes = [self._box(argument) for argument in arguments]
        kinds = "".join(kind for kind, _ in boxes).encode()
        pointers = (ctypes.c_void_p * len(boxes))(*(ctypes.addressof(box) for _, box in boxes))
        three = ctypes.c_uint * 3
        fault = self.launch(
            kinds, pointers, three(*(*grid, 1, 1)[:3]), three(*(*block, 1, 1)[:3]), self.reverse
        )
        assert fault is None, fault.decode()

    @staticmethod
    def _box(argument):
        if isinstance(argument, np.ndarray):
            return "p", ctypes.c_void_p(argument.ctypes.data)
        if type(argument) is int:
            return "i", ctypes.c_longlong(argument)
        assert type(argument) is float, f"{type(argument)} among the arguments"
        return "d", ctypes.c_double(argument)
