"""Models: the order in which the layers run, forward and backward through time."""
