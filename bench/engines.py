"""The engines under one interface, and the process that each of them runs in.

An engine has `version`, `evaluate()`, which returns the losses, (B,) each, and the gradients under
mindraw's names for the first minibatch, `step(k)`, which trains on minibatch k and returns the
losses before the update, and `wait()`, after which all steps are done. Libraries are imported
inside: each engine lives in its own process, which sees only its own thread pool.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from functools import partial

import numpy as np

from bench.configs import build, held
from mindraw.models.config import ClassifierConfig


@dataclass(frozen=True)
class Setting:
    """How every engine is run.

    Parameters
    ----------
    threads : int
        On the CPU.
    device : {"cpu", "gpu"}
    tf32 : bool
        Whether products on the GPU may round float32 to 10 bits.
    project_once : bool
        Whether the peers, too, multiply x by the encoder's weights once per minibatch.
    """

    threads: int
    device: str = "cpu"
    tf32: bool = False
    project_once: bool = False


class Engine:
    """What engines on the CPU have in common: a step is done when it returns."""

    def wait(self):
        """Wait for the device."""

    def peak(self):
        """Largest memory, MiB: the process's since `forget_peak`, or a GPU's from the start."""
        return peak_memory()


def is_classifier(config) -> bool:
    """Whether a configuration is of the classifier, not of DRAW."""
    return isinstance(config, ClassifierConfig)


def numpy_version() -> str:
    """NumPy's version, with the kernels that its OpenBLAS chose for this processor."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return f"numpy {np.__version__}"
    blas = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    chosen = [f"{b['internal_api']} {b['version']} {b.get('architecture', '')}" for b in blas]
    return " with ".join([f"numpy {np.__version__}", *(name.strip() for name in chosen)])


def cupy_version() -> str:
    """CuPy's version, with the name of its GPU."""
    import cupy

    name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    return f"cupy {cupy.__version__} on {name}"


class Mindraw(Engine):
    """The hand-written engine, on NumPy or CuPy."""

    backend = "numpy"

    def __init__(self, config, params, x, other, setting):
        from mindraw.backend import get_backend
        from mindraw.optim import Adam

        on_gpu = setting.device == "gpu"
        self.ops = get_backend("cupy" if on_gpu else self.backend)
        self.version = cupy_version() if on_gpu else numpy_version()
        self.model = build(config, self.ops, x.shape[1], 1 if on_gpu else setting.threads)
        self.held = held(self.model)
        names = self.model.parameters.names
        self.model.parameters.load(np.concatenate([params[name].ravel() for name in names]))
        self.adam = Adam(self.model.parameters, self.ops, workers=self.model.workers)
        columns = x.reshape(*x.shape[:2], -1).swapaxes(1, 2)  # (minibatches, D, B)
        self.x = [self.ops.asarray(part) for part in columns]  # views, as the tasks hand them over
        self.other = [self.ops.asarray(part) for part in other]

    def wait(self):
        if self.ops.name == "cupy":
            self.ops.xp.cuda.get_current_stream().synchronize()

    def peak(self):
        """With what only the other processes of its team hold."""
        if self.ops.name == "cupy":
            return self.ops.xp.get_default_memory_pool().total_bytes() / 2**20
        return peak_memory() + self.model.workers.memory_beside() / 2**20

    def evaluate(self):
        losses = self._losses(0)
        gradients = self.model.gradients
        found = {name: self.ops.to_numpy(gradients[name]).copy() for name in gradients.names}
        return *(self.ops.to_numpy(part).copy() for part in losses), found

    def step(self, k):
        losses = self._losses(k)
        self.adam.step(self.model.gradients)
        return losses

    def _losses(self, k):
        losses = self.model.loss_and_gradient(self.x[k], self.other[k])
        return losses[:1] if is_classifier(self.model.config) else losses


class MindrawNumba(Mindraw):
    """The same with the kernels that Numba compiles, on a CPU."""

    backend = "numba"

    def __init__(self, config, params, x, other, setting):
        super().__init__(config, params, x, other, setting)
        import numba

        self.version = f"numba {numba.__version__}, {self.version}"


class Torch(Engine):
    """The PyTorch peer, eager or through `torch.compile`."""

    def __init__(self, config, params, x, other, setting, compiled=False):
        import torch

        from bench.peers.torch_classify import TorchClassifier
        from bench.peers.torch_draw import TorchDraw, Trainer

        self.cuda = torch.cuda if setting.device == "gpu" else None
        device = "cuda" if self.cuda else "cpu"
        torch.set_num_threads(setting.threads)
        torch.set_float32_matmul_precision("high" if setting.tf32 else "highest")
        self.version = f"torch {torch.__version__}"
        if is_classifier(config):
            self.model = TorchClassifier(params, config.T)
            other = other.argmax(1)
        else:
            self.model = TorchDraw(params, project_once=setting.project_once)
            other = other.swapaxes(2, 3).copy()
        # on a GPU a step's many small kernels are replayed as one graph
        mode = "reduce-overhead" if self.cuda else "default"
        self.trainer = Trainer(self.model.to(device), compiled=mode if compiled else None)
        self.x = [torch.tensor(part, device=device) for part in x]
        self.other = [torch.tensor(part, device=device) for part in other]

    def wait(self):
        if self.cuda:
            self.cuda.synchronize()

    def peak(self):
        return self.cuda.max_memory_allocated() / 2**20 if self.cuda else peak_memory()

    def evaluate(self):
        losses = self.trainer.backward(self.x[0], self.other[0])
        return *(part.cpu().numpy() for part in losses), self.model.to_mindraw(gradients=True)

    def step(self, k):
        return self.trainer.step(self.x[k], self.other[k])


class TorchCompiled(Torch):
    def __init__(self, config, params, x, other, setting):
        super().__init__(config, params, x, other, setting, compiled=True)


class Jax(Engine):
    """The JAX peer, the whole step one `jax.jit`."""

    def __init__(self, config, params, x, other, setting):
        import jax

        from bench.peers import jax_classify, jax_draw

        jax.config.update(
            "jax_default_matmul_precision", "tensorfloat32" if setting.tf32 else "highest"
        )
        self.on_gpu = setting.device == "gpu"
        self.jax, self.peer = jax, jax_draw
        self.losses = jax_draw.losses
        if is_classifier(config):
            # one function for one T: what jit is given must be equal from call to call
            self.losses = partial(jax_classify.losses, T=config.T)
            other = other.argmax(1)
        else:
            other = other.swapaxes(2, 3)
        self.version = f"jax {jax.__version__}"
        self.params = jax_draw.from_mindraw(params, project_once=setting.project_once)
        self.state = jax_draw.adam_state(self.params)
        self.x = [jax.numpy.asarray(part) for part in x]
        self.other = [jax.numpy.asarray(part) for part in other]

    def evaluate(self):
        evaluate = self.jax.jit(partial(self.peer.loss_and_gradient, losses=self.losses))
        losses, gradients = evaluate(self.params, self.x[0], self.other[0])
        return *(np.array(part) for part in losses), self.peer.to_mindraw(gradients)

    def step(self, k):
        self.params, self.state, losses = self.peer.train_step(
            self.params, self.state, self.x[k], self.other[k], losses=self.losses
        )
        return losses

    def wait(self):
        self.jax.block_until_ready((self.params, self.state))

    def peak(self):
        if self.on_gpu:
            return self.jax.devices()[0].memory_stats()["peak_bytes_in_use"] / 2**20
        return peak_memory()


#: Of the matrices whose product gives the peak rate.
SGEMM_SIDE = {"cpu": 2048, "gpu": 8192}
#: Bytes of the array whose copy gives the peak rate of memory.
COPIED = 256 << 20


class Ceiling(Engine):
    """What NumPy or CuPy reaches at best, without a model."""

    def __init__(self, config, params, x, other, setting):
        self.version, self.xp = numpy_version(), np
        if setting.device == "gpu":
            import cupy

            self.version, self.xp = cupy_version(), cupy
        self.lay_out(setting.device)

    def evaluate(self):
        return None

    def wait(self):
        if self.xp is not np:
            self.xp.cuda.get_current_stream().synchronize()


class Sgemm(Ceiling):
    """A product of two square float32 matrices: the peak rate of the products' floor."""

    def lay_out(self, device):
        side = SGEMM_SIDE[device]
        a, b = np.random.default_rng(0).random((2, side, side), np.float32)
        self.a, self.b = self.xp.array(a), self.xp.array(b)
        self.out = self.xp.empty_like(self.a)

    def step(self, k):
        self.xp.matmul(self.a, self.b, out=self.out)


class Copy(Ceiling):
    """A copy that no cache holds: the peak rate of the bytes' floor, read and written."""

    def lay_out(self, device):
        self.a = self.xp.array(np.random.default_rng(0).random(COPIED // 4, np.float32))
        self.out = self.xp.empty_like(self.a)

    def step(self, k):
        self.xp.copyto(self.out, self.a)


ENGINES = {
    "mindraw": Mindraw,
    "mindraw-numba": MindrawNumba,
    "torch-eager": Torch,
    "torch-compile": TorchCompiled,
    "jax": Jax,
}


#: Seconds of steps before the timed ones: processes that have slept may wake on the same core.
WAKING = 0.15
#: With these set, a library would use kernels for another processor than the one it runs on.
KERNEL_CHOICES = ("OPENBLAS_CORETYPE", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA")


def choose_own_kernels() -> list[str]:
    """Let processes started after this call choose their kernels; return what was unset."""
    return [name for name in KERNEL_CHOICES if os.environ.pop(name, None) is not None]


def prepare_environment(setting: Setting) -> None:
    """Hold the processes started after this call to a setting, whatever their library.

    JAX takes its number of threads from NPROC or the cores it may run on, the others from the rest.
    """
    threads, on_gpu = setting.threads, setting.device == "gpu"
    for name in ("OMP", "MKL", "OPENBLAS", "VECLIB_MAXIMUM", "NUMEXPR"):
        os.environ[f"{name}_NUM_THREADS"] = str(threads)
    os.environ["NPROC"] = str(threads)
    os.environ["JAX_PLATFORMS"] = "cuda" if on_gpu else "cpu"
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # the engines share the GPU
    os.environ["CUPY_TF32"] = str(int(setting.tf32))
    # on a CPU no pool of compiling processes that lives on beside the timings
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "4" if on_gpu else "1"


def available_cores() -> int:
    """How many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def bind_to_cores(threads: int) -> None:
    """Let this process run on `threads` cores only, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def forget_peak() -> None:
    """Start `peak_memory` anew, where the system can (Linux)."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def peak_memory() -> float:
    """Largest resident memory of this process since `forget_peak`, MiB (NaN on Windows)."""
    try:
        with open("/proc/self/status") as file:
            return next(float(line.split()[1]) for line in file if "VmHWM" in line) / 2**10
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def durations(runner, x, count: int, setting: Setting) -> list[float]:
    """Seconds of each of `count` steps; on a GPU their mean, from idle to idle.

    There the steps are queued, as a training queues them, and waited for once.
    """
    seconds = []
    if setting.device == "gpu":
        start = time.perf_counter()
        for k in range(count):
            runner.step(k % len(x))
        runner.wait()
        return [(time.perf_counter() - start) / count]
    for k in range(count):
        start = time.perf_counter()
        runner.step(k % len(x))
        runner.wait()
        seconds.append(time.perf_counter() - start)
    return seconds


def watched(runner, x) -> list:
    """Kernels, copies and fills of one step on a GPU, one by one, those of a graph too.

    They are the events of the GPU's own profiler, which PyTorch brings.
    """
    from torch.profiler import DeviceType, ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        runner.step(1 % len(x))
        runner.wait()
    return [event for event in profiler.events() if event.device_type == DeviceType.CUDA]


def count_launches(runner, x, setting: Setting) -> int | None:
    """How many `watched` gives: None without PyTorch, or on a CPU."""
    if setting.device == "cpu":
        return None
    try:
        return len(watched(runner, x))
    except Exception as error:  # a count is not worth a bench
        print(f"launches are not counted: {type(error).__name__}: {error}")
        return None


def serve(connection, engine, config, params, x, other, setting):
    """Body of an engine's process: build it, then obey until told to stop.

    Sends ("ready", version, what `evaluate` returned) or ("absent", reason, None) first. Obeys
    ("train", n) with the last mean loss of n untimed steps; ("time", n) with what `durations`
    returns for n of them, after untimed ones that wake the engine's threads, each on a core of its
    own; ("peak",) with the peak memory in MiB since the first timed step, which has the loaded
    libraries in it and the work of compiling not (on a GPU its own from the start);
    ("launches",) with what `count_launches` returns; and ("held",) with the bytes that a step holds
    where the engine knows them, else None.
    """
    bind_to_cores(setting.threads)
    try:
        runner = engine(config, params, x, other, setting)
        first = runner.evaluate()
    except Exception as error:  # not installed, or no compiler for torch.compile: told in a line
        reason = str(error).strip().partition("\n")[0]
        connection.send(("absent", f"{type(error).__name__}: {reason}", None))
        return
    connection.send(("ready", runner.version, first))
    timed = False
    while True:
        try:
            order, *count = connection.recv()
        except EOFError:
            return
        if order == "stop":
            return
        if order == "train":
            losses = [runner.step(k % len(x)) for k in range(*count)][-1]
            connection.send(float(sum(part.mean() for part in losses)))
        elif order == "time":
            if not timed:
                forget_peak()
                timed = True
            awake = time.perf_counter() + WAKING
            while time.perf_counter() < awake:
                runner.step(0)
                runner.wait()
            connection.send(durations(runner, x, *count, setting))
        elif order == "peak":
            connection.send(runner.peak())
        elif order == "launches":
            connection.send(count_launches(runner, x, setting))
        elif order == "held":
            connection.send(getattr(runner, "held", None))
