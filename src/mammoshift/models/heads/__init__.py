"""What turns features into a logit, one module each, found by its file's name.

A module offers `TAKES_MAP`, whether the head takes the last feature map instead of the pooled
vector, and `build(shape, units, outputs)`; see `mammoshift.models.heads._protocol`.
"""
