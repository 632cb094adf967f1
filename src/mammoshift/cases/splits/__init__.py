"""Split methods, one module each, found by their file's name.

A module offers `Options`, a model whose `method` is the module's name, and
`assign(cases, options, others) -> Assignment`; see `mammoshift.cases.splits.patient_stratified`.
Importing one must stay light, since the configuration's vocabulary is made of the options: pandas,
NumPy and the solver are imported inside functions. Names that begin with `_` are no methods.
"""
