"""The layers: forward and backward side by side, one file per layer.

Arguments come in one order everywhere: the backend, what is set, what is overwritten,
then the inputs. ``dX`` is the gradient of the loss at ``X``. Every function sets its
outputs; where gradients meet, the model adds them up in sight of the reader.
"""
