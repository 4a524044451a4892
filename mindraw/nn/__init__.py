"""The layers: forward and backward side by side, one file per layer.

Arguments come in one order everywhere: the backend, what is set, what is overwritten,
then the inputs; what else is overwritten is said there. ``dX`` is the gradient of the loss
at ``X``. Every function sets its outputs; where gradients meet, it takes all of them as
arguments, or the model adds them up.
"""
