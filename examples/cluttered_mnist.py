"""DRAW's attention classifies cluttered MNIST (Gregor et al. 2015; Arslan's replication in Knet).

python examples/cluttered_mnist.py                    # quick: some minutes on two cores
python examples/cluttered_mnist.py --preset seed      # the replication's numbers
python examples/cluttered_mnist.py --preset best      # ours
python examples/cluttered_mnist.py --preset best4     # ours, for 4 glimpses
python examples/cluttered_mnist.py --preset labels    # ours, from the classes alone
python examples/cluttered_mnist.py --glimpses 4       # quick with 4 glimpses, not 8
python examples/cluttered_mnist.py --help             # every number is an option
"""

import sys

from mindraw.experiment import Classification, main

# A coarse and bright look at everything, from which it learns where to look; then finer ones. What
# says where to look learns at a twentieth of the rate: faster, and the glimpses jump from minibatch
# to minibatch, and find the digits much later. Its gradient is five times as long as that of all
# the rest, and jumps: clipped together, it would take the rest along. With Adam's beta1 at 0.5 a
# jump moves the weights five times as far, and the loss with them.
CLASSES_ALONE = Classification(
    name="cluttered_mnist",
    lr=0.0015,
    beta1=0.9,
    aim_rate=0.05,
    aim_clip="apart",
    schedule="cosine",
    updates="centred",
    init_scale=0.05,
    initial="learned",
    first="learned",
    first_span=1.0,
    first_deviation=4.0,
    first_gain=10.0,
    span=0.6,
    deviation=2.5,
    gain=2.0,
    forget=1.0,
)
# Told where the digits were put, the glimpses find them soon: they can start as fine as they are in
# the end, and all learns at four times the rate. Without weight decay the gates are soon saturated.
OURS = CLASSES_ALONE.but(
    updates="frequencies",
    aim_loss=2.0,
    aim_rate=0.2,
    lr=0.006,
    lr_warmup=1000,
    weight_decay=0.1,
    span=0.25,
    deviation=1.2,
)
# An hour or two, and with digits that are slanted and stretched: a first training finds them, and a
# second, at a tenth of the rate, learns to read them.
BEST = OURS.but(
    minibatches=10_000,
    evaluate=4000,
    bend=0.16,
    then_minibatches=80_000,
    then_lr=0.0006,
)
PRESETS = {
    "quick": OURS.but(minibatches=6000, evaluate=1000),
    # the replication: every glimpse starts as a grid over the whole picture
    "seed": Classification(
        name="cluttered_mnist",
        schedule="decay",
        lr_floor=0.0001,
        lr_decay=0.985,
        lr_decay_every=1 / 25,
        init_scale=0.03,
        epochs=6,
    ),
    "best": BEST,
    # with four glimpses a higher rate and less decay learn more; with eight they were not tried
    "best4": BEST.but(glimpses=4, weight_decay=0.03, then_minibatches=60_000, then_lr=0.0015),
    # some hours; of more than four glimpses the first four come first, which soon find the digit,
    # where eight at once may not
    "labels": CLASSES_ALONE.but(
        minibatches=200_000,
        evaluate=4000,
        bend=0.16,
        then_minibatches=120_000,
        then_lr=0.0008,
        grow_from=4,
    ),
}

if __name__ == "__main__":
    sys.exit(main(PRESETS))
