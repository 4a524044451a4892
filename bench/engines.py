"""The engines under one interface, and the process that each of them runs in.

An engine has `version`, `evaluate()`, which returns the losses, (B,) each, and the gradients under
mindraw's names for the first minibatch, and `step(k)`, which trains on minibatch k, has
finished when it returns, and returns the losses before the update. Libraries are imported inside:
each engine lives in its own process, which sees only its own thread pool. The peers' `project_once`
lets them, too, multiply x by the encoder's weights once per minibatch.
"""

from __future__ import annotations

import os
import sys
import time
from functools import partial

import numpy as np

from bench.configs import build
from mindraw.models.classify import ClassifierConfig


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


class Mindraw:
    """The hand-written engine on NumPy."""

    def __init__(self, config, params, x, other, threads, project_once=False):
        from mindraw.backend import get_backend
        from mindraw.optim import Adam

        self.ops = get_backend("numpy")
        self.version = numpy_version()
        self.model = build(config, self.ops, x.shape[1], threads)
        laid_out = (self.model.tape, *self.model.shards)
        self.held = sum(part.buffer.nbytes for part in laid_out)
        names = self.model.parameters.names
        self.model.parameters.load(np.concatenate([params[name].ravel() for name in names]))
        self.adam = Adam(self.model.parameters, self.ops, workers=self.model.workers)
        columns = x.reshape(*x.shape[:2], -1).swapaxes(1, 2)  # (minibatches, D, B)
        self.x = [self.ops.asarray(part) for part in columns]  # views, as the tasks hand them over
        self.other = [self.ops.asarray(part) for part in other]

    def memory_beside(self):
        """MiB that only the other processes of its team hold."""
        return self.model.workers.memory_beside() / 2**20

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


class Torch:
    """The PyTorch peer, eager or through `torch.compile`."""

    def __init__(self, config, params, x, other, threads, project_once=False, compiled=False):
        import torch

        from bench.peers.torch_classify import TorchClassifier
        from bench.peers.torch_draw import TorchDraw, Trainer

        torch.set_num_threads(threads)
        self.version = f"torch {torch.__version__}"
        if is_classifier(config):
            self.model = TorchClassifier(params, config.T)
            other = other.argmax(1)
        else:
            self.model = TorchDraw(params, project_once=project_once)
            other = other.swapaxes(2, 3).copy()
        self.trainer = Trainer(self.model, compiled=compiled)
        self.x = [torch.tensor(part) for part in x]
        self.other = [torch.tensor(part) for part in other]

    def evaluate(self):
        losses = self.trainer.backward(self.x[0], self.other[0])
        return *(part.numpy() for part in losses), self.model.to_mindraw(gradients=True)

    def step(self, k):
        return self.trainer.step(self.x[k], self.other[k])


class TorchCompiled(Torch):
    def __init__(self, config, params, x, other, threads, project_once=False):
        super().__init__(config, params, x, other, threads, project_once, compiled=True)


class Jax:
    """The JAX peer, the whole step one `jax.jit`."""

    def __init__(self, config, params, x, other, threads, project_once=False):
        import jax

        from bench.peers import jax_classify, jax_draw

        self.jax, self.peer = jax, jax_draw
        self.losses = jax_draw.losses
        if is_classifier(config):
            # one function for one T: what jit is given must be equal from call to call
            self.losses = partial(jax_classify.losses, T=config.T)
            other = other.argmax(1)
        else:
            other = other.swapaxes(2, 3)
        self.version = f"jax {jax.__version__}"
        self.params = jax_draw.from_mindraw(params, project_once=project_once)
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
        return self.jax.block_until_ready((losses, self.params))[0]


class Sgemm:
    """NumPy's own product of two (2048, 2048) float32 matrices: the floor's peak rate."""

    FLOPS = 2 * 2048.0**3

    def __init__(self, config, params, x, other, threads, project_once=False):
        self.version = numpy_version()
        self.a, self.b = np.random.default_rng(0).random((2, 2048, 2048), np.float32)
        self.out = np.empty_like(self.a)

    def evaluate(self):
        return None

    def step(self, k):
        np.matmul(self.a, self.b, out=self.out)


ENGINES = {"mindraw": Mindraw, "torch-eager": Torch, "torch-compile": TorchCompiled, "jax": Jax}


#: Seconds of steps before the timed ones: processes that have slept may wake on the same core.
WAKING = 0.15
#: With these set, a library would use kernels for another processor than the one it runs on.
KERNEL_CHOICES = ("OPENBLAS_CORETYPE", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA")


def choose_own_kernels() -> list[str]:
    """Let processes started after this call choose their kernels; return what was unset."""
    return [name for name in KERNEL_CHOICES if os.environ.pop(name, None) is not None]


def limit_threads(threads: int) -> None:
    """Hold the processes started after this call to `threads` threads, whatever their library.

    JAX takes its number from NPROC or the cores it may run on, the others from the rest.
    """
    for name in ("OMP", "MKL", "OPENBLAS", "VECLIB_MAXIMUM", "NUMEXPR"):
        os.environ[f"{name}_NUM_THREADS"] = str(threads)
    os.environ["NPROC"] = str(threads)
    os.environ["JAX_PLATFORMS"] = "cpu"
    # no pool of compiling processes that lives on beside the timings
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"


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


def serve(connection, engine, config, params, x, other, threads, project_once):
    """Body of an engine's process: build it, then obey until told to stop.

    Sends ("ready", version, what `evaluate` returned) or ("absent", reason, None) first. Obeys
    ("train", n) with the last mean loss of n untimed steps; ("time", n) with n durations in
    seconds, after untimed ones that wake the engine's threads, each on a core of its own;
    ("peak",) with the peak memory in MiB since the first timed step, which has the loaded
    libraries in it and the work of compiling not; and ("held",) with the bytes that a step holds
    where the engine knows them, else None.
    """
    bind_to_cores(threads)
    try:
        runner = engine(config, params, x, other, threads, project_once)
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
            connection.send(float(sum(np.asarray(part).mean() for part in losses)))
        elif order == "time":
            if not timed:
                forget_peak()
                timed = True
            awake = time.perf_counter() + WAKING
            while time.perf_counter() < awake:
                runner.step(0)
            seconds = []
            for k in range(*count):
                start = time.perf_counter()
                runner.step(k % len(x))
                seconds.append(time.perf_counter() - start)
            connection.send(seconds)
        elif order == "peak":
            connection.send(peak_memory() + getattr(runner, "memory_beside", lambda: 0.0)())
        elif order == "held":
            connection.send(getattr(runner, "held", None))
