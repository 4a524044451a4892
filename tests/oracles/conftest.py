"""The oracles run on the CPU: on a GPU JAX would multiply in TF32, and take most of its memory."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
