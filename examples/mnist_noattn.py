"""DRAW without attention on MNIST (Gregor et al. 2015; Arslan's replication in Knet.jl).

python examples/mnist_noattn.py                    # quick: some minutes on two cores
python examples/mnist_noattn.py --preset seed      # the replication's numbers
python examples/mnist_noattn.py --preset paper     # the paper's data set
python examples/mnist_noattn.py --help             # every number is an option
"""

import sys

from mindraw.experiment import Experiment, main

PRESETS = {
    # small enough to watch: half the steps, more latent units than the replication's, and what
    # learns fastest
    "quick": Experiment(
        name="mnist_noattn",
        T=10,
        z=20,
        canvas="mean",
        lr=0.003,
        schedule="cosine",
        updates="centred",
        minibatches=3000,
        evaluate=500,
    ),
    # the replication: grey values as Bernoulli means, states that start at zero
    "seed": Experiment(
        name="mnist_noattn",
        T=20,
        z=10,
        initial="zeros",
        minibatches=10_000,
    ),
    # The paper gives no numbers for its model without attention (87.40 nats): these are
    # the ones it gives for MNIST with attention, and the length is ours.
    "paper": Experiment(
        name="mnist_noattn",
        dataset="binarized-mnist",
        T=64,
        z=100,
        initial="learned",
        epochs=100,
    ),
}

if __name__ == "__main__":
    sys.exit(main(PRESETS))
