"""The CUDA sources and their launchers, where no GPU is needed to look at them."""

import ast
import configparser
import fnmatch
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from emulation import KERNEL

from mindraw.kernels import fused, matmul, reference

FOLDER = Path(fused.__file__).parent
#: What no GPU of a supported CUDA is older than, and what the timings are for.
ARCHITECTURES = ("sm_75", "sm_90")
#: Kernels that compute in double on purpose: the norm, the rates of Adam and what decays.
DOUBLE = {"gradient_norm", "adam", "decay"}
#: Blocks of warps.
WARPS = (fused.FILTERS, fused.PRODUCTS, fused.GLIMPSE)


def public_functions(module):
    path = Path(module.__file__)
    files = path.parent.glob("*.py") if path.name == "__init__.py" else [path]
    return {
        node.name: ast.unparse(node.args)
        for file in files
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }


def test_every_function_of_the_reference_is_offered():
    assert set(reference.__all__) == {*public_functions(reference), "BLOCK", "NOISE"}


def test_the_twins_have_equal_signatures():
    twin = public_functions(fused)
    del twin["source"]
    assert twin == public_functions(reference)


def test_every_function_has_its_kernel():
    kernels = re.findall(KERNEL, fused.source(), re.MULTILINE)
    assert sorted(kernels) == sorted(public_functions(reference))


def test_every_source_is_compiled():
    files = {path.name for path in FOLDER.rglob("*.cu*")}
    assert files == {*fused.SOURCES, *matmul.SOURCES}


def test_every_source_is_packed():
    setup = configparser.ConfigParser()
    setup.read(FOLDER.parents[1] / "setup.cfg")
    patterns = setup["options.package_data"]["mindraw"].split()
    for name in (*fused.SOURCES, *matmul.SOURCES):
        assert any(fnmatch.fnmatch(f"kernels/{name}", pattern) for pattern in patterns), name


def test_launches_match_the_sources():
    text = fused.source()
    constants = dict(re.findall(r"^#define (\w+) (\d+)\b", text, re.MULTILINE))
    assert int(constants["NORM_THREADS"]) == fused.FLAT
    assert int(constants["MOST_PARTS"]) == fused.MOST_PARTS
    ours = dict(re.findall(r"^constexpr int (\w+) = (.*?);", matmul.source(), re.MULTILINE))
    assert int(ours["COLUMNS"]) == matmul.COLUMNS and ours["PARTS"] == "32 / S"
    assert all(matmul.WARPS[rows] == 32 // (rows // 8) for rows in (16, 32))
    assert matmul.WARPS[matmul.UNITS] == 32 // 4
    for columns, rows in (fused.ELEMENTS, fused.SUMS, *WARPS):
        assert columns * rows <= int(constants["MOST_THREADS"])
    assert all(columns == 32 for columns, _ in WARPS)


@pytest.mark.parametrize("real", fused.REAL.values())
def test_nvcc_compiles_every_file(real, tmp_path):
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("nvcc is not installed")
    sources = {*fused.SOURCES, *(matmul.SOURCES if real == "float" else ())}
    files = [str(FOLDER / name) for name in sources if name.endswith(".cu")]
    options = ["-arch=sm_90", f"-Dreal={real}", "-Xptxas=-v", "-Werror=all-warnings", "--keep"]
    done = subprocess.run(
        [nvcc, *options, "-cubin", *files], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    spills = re.findall(r"(\d+) bytes spill", done.stdout + done.stderr)
    assert spills and set(spills) == {"0"}
    assert len(list(tmp_path.glob("*.cubin"))) == len(files)
    if real == "float":
        for path in tmp_path.glob("*.ptx"):
            assert not double_arithmetic(path.read_text()) - DOUBLE


def double_arithmetic(ptx):
    """Name the kernels that compute in double, beyond converting an argument."""
    found = set()
    for kernel in re.split(r"\.visible \.entry ", ptx)[1:]:
        if re.search(r"^\s*(add|sub|mul|fma|div|sqrt|rcp|neg)\S*\.f64\b", kernel, re.MULTILINE):
            found.add(re.match(r"\w+", kernel)[0])
    return found


def test_double_arithmetic_is_found():
    ptx = ".visible .entry one(\n\tcvt.rn.f32.f64 %f1;\n.visible .entry two(\n\tmul.rn.f64 %fd1;\n"
    assert double_arithmetic(ptx) == {"two"}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("real", fused.REAL.values())
def test_nvrtc_compiles_what_cupy_is_given(real, architecture):
    try:
        from cupy.cuda import nvrtc

        nvrtc.getVersion()
    except (ImportError, RuntimeError, OSError) as error:
        pytest.skip(f"CuPy with NVRTC is not installed: {type(error).__name__}")
    text = fused.source() + (matmul.source() if real == "float" else "")  # headers count once
    program = nvrtc.createProgram(text, "kernels.cu", (), ())
    options = (f"-Dreal={real}", "--std=c++17", f"--gpu-architecture={architecture}")
    try:
        nvrtc.compileProgram(program, options)
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
    assert not nvrtc.getProgramLog(program)
