"""DRAW with attention on MNIST (Gregor et al. 2015; Arslan's replication in Knet.jl).

python examples/mnist_attn.py                    # quick: some minutes on two cores
python examples/mnist_attn.py --preset seed      # the replication's numbers
python examples/mnist_attn.py --preset paper     # the paper's sizes and data
python examples/mnist_attn.py --help             # every number is an option
"""

import sys

from mindraw.experiment import Experiment, main

PRESETS = {
    # the paper's glimpses with fewer steps, and a start from which they soon see something
    "quick": Experiment(
        name="mnist_attn",
        T=10,
        z=20,
        read_n=2,
        write_n=5,
        canvas="mean",
        filters="broad",
        lr=0.003,
        schedule="cosine",
        updates="centred",
        minibatches=6000,
        evaluate=1000,
    ),
    # the replication: grey values as Bernoulli means, states that start at zero
    "seed": Experiment(
        name="mnist_attn",
        T=20,
        z=10,
        read_n=5,
        write_n=5,
        initial="zeros",
        minibatches=10_000,
    ),
    # ours are the start, the rate's schedule and the length: the paper does not give them
    "paper": Experiment(
        name="mnist_attn",
        dataset="binarized-mnist",
        T=64,
        z=100,
        read_n=2,
        write_n=5,
        canvas="mean",
        filters="broad",
        schedule="cosine",
        epochs=300,
    ),
}

if __name__ == "__main__":
    sys.exit(main(PRESETS))
