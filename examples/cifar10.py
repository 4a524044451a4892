"""DRAW with attention on CIFAR-10 (Gregor et al. 2015; Arslan's replication in Knet.jl).

python examples/cifar10.py                    # quick: some minutes on two cores
python examples/cifar10.py --preset seed      # the replication's numbers
python examples/cifar10.py --preset paper     # the paper's
python examples/cifar10.py --help             # every number is an option

Where CIFAR-10 cannot be had, a stand-in serves, and the run and its figures say so.
"""

import sys

from mindraw.experiment import Experiment, main

PRESETS = {
    # a smaller model and fewer steps than the replication's
    "quick": Experiment(
        name="cifar10",
        dataset="cifar10",
        T=16,
        z=20,
        read_n=5,
        write_n=5,
        minibatches=3500,
        evaluate=1000,
    ),
    # the replication: states that start at zero
    "seed": Experiment(
        name="cifar10",
        dataset="cifar10",
        T=20,
        h_enc=400,
        h_dec=400,
        z=10,
        read_n=5,
        write_n=5,
        initial="zeros",
        minibatches=10_000,
    ),
    # the length is ours: the paper does not give it
    "paper": Experiment(
        name="cifar10",
        dataset="cifar10",
        T=64,
        h_enc=400,
        h_dec=400,
        z=200,
        read_n=5,
        write_n=5,
        epochs=100,
    ),
}

if __name__ == "__main__":
    sys.exit(main(PRESETS))
