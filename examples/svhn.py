"""DRAW with attention on Street View House Numbers (Gregor et al. 2015; Arslan's replication).

python examples/svhn.py                    # quick: some minutes on two cores
python examples/svhn.py --preset seed      # the replication's numbers, on single digits
python examples/svhn.py --preset paper     # the paper's: whole house numbers, 54 x 54
python examples/svhn.py --help             # every number is an option

Where SVHN cannot be had, a stand-in serves, and the run and its figures say so.
"""

import sys

from mindraw.experiment import Experiment, main

PRESETS = {
    # a smaller model and fewer steps than the replication's
    "quick": Experiment(
        name="svhn",
        dataset="svhn",
        T=10,
        z=20,
        read_n=8,
        write_n=8,
        minibatches=4000,
        evaluate=2000,
    ),
    # the replication: 32 x 32 pixels, states that start at zero
    "seed": Experiment(
        name="svhn",
        dataset="svhn",
        T=20,
        h_enc=800,
        h_dec=800,
        z=10,
        read_n=12,
        write_n=12,
        initial="zeros",
        minibatches=10_000,
    ),
    # crops of whole house numbers; the length is ours: the paper does not give it
    "paper": Experiment(
        name="svhn",
        dataset="svhn-numbers",
        T=32,
        h_enc=800,
        h_dec=800,
        z=100,
        read_n=12,
        write_n=12,
        epochs=100,
    ),
}

if __name__ == "__main__":
    sys.exit(main(PRESETS))
