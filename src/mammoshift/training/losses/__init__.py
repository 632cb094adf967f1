"""Training losses, one module each, found by their file's name.

A module offers `build(settings, positive_weight)`, which returns the loss; see
`mammoshift.training.losses._protocol`. What of a loss others need as well lies in modules whose
names begin with `_`.
"""
