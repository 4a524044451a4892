"""The CUDA kernels on the CPU: compiled by g++ with `emulate.h`, launched as CuPy launches them."""

import ctypes
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from mindraw.kernels import fused

HERE = Path(__file__).parent
#: How the definition of a kernel begins, in a source.
KERNEL = r"^KERNEL (?:WIDE )?(\w+)\("
WIDE = r"^KERNEL WIDE (\w+)\("
#: Threads of a block that every kernel can have, however many registers it takes.
USUAL = 256
STRICT = ("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas")


def why_not():
    """Say why the kernels cannot be emulated here, or return None where they can."""
    if not sys.platform.startswith("linux"):
        return "the emulation of CUDA threads is written for Linux"
    return None if shutil.which("g++") else "g++ is not installed"


def build(folder, char, text, warnings=STRICT, names=None):
    """Compile the kernels of a source for one dtype and return the library."""
    names = names or re.findall(KERNEL, text, re.MULTILINE)
    launchers = "".join(f"LAUNCHER({name})\n" for name in names)
    unit, library = folder / f"kernels_{char}.cpp", folder / f"kernels_{char}.so"
    unit.write_text(f'#include "{HERE / "emulate.h"}"\n{text}\n{launchers}')
    subprocess.run(
        ["g++", "-std=c++17", "-O1", *warnings, "-ffp-contract=off",
         "-shared", "-fPIC", f"-Dreal={fused.REAL[char]}", str(unit), "-o", str(library)],
        check=True,
    )  # fmt: skip
    return ctypes.CDLL(str(library))


class Kernel:
    """A kernel that is called as ``cupy.RawKernel`` is: grid, block, arguments."""

    def __init__(self, library, name, reverse):
        kernel = re.sub(r"_\d+$", "", name)  # with a planted fault
        self.wide = kernel in re.findall(WIDE, fused.source(), re.MULTILINE)
        self.launch = getattr(library, f"launch_{name}")
        self.launch.restype = ctypes.c_char_p
        self.reverse = reverse

    def __call__(self, grid, block, arguments, shared_mem=0):
        assert self.wide or math.prod(block) <= USUAL, "more threads than registers may allow"
        boxes = [self._box(argument) for argument in arguments]
        kinds = "".join(kind for kind, _ in boxes).encode()
        pointers = (ctypes.c_void_p * len(boxes))(*(ctypes.addressof(box) for _, box in boxes))
        three = ctypes.c_uint * 3
        fault = self.launch(
            kinds, pointers, three(*(*grid, 1, 1)[:3]), three(*(*block, 1, 1)[:3]), shared_mem,
            self.reverse,
        )  # fmt: skip
        assert fault is None, fault.decode()

    @staticmethod
    def _box(argument):
        if hasattr(argument, "strides"):  # a NumPy array, or what says where it lies as CuPy's do
            ours = isinstance(argument, np.ndarray)
            return "p", ctypes.c_void_p(argument.ctypes.data if ours else argument.data.ptr)
        if type(argument) is int:
            return "i", ctypes.c_longlong(argument)
        assert type(argument) is float, f"{type(argument)} among the arguments"
        return "d", ctypes.c_double(argument)
