"""What the second number of a noise key (seed, stream, number) stands for."""

TRAIN = 1
TEST = 2
GENERATE = 3
RECONSTRUCT = 4
SHUFFLE = 5
IMPORTANCE = 6
VALID = 7
