"""
Quick planning: what Snakemake would find out anew for every job is found out once.

Included last: it goes through the functions of all rules.
"""

import inspect

for known in workflow.rules:
    for item in (*known.input, *known.params):
        function = getattr(getattr(item, "_file", item), "callable", None) or item
        if inspect.isfunction(function):
            function.__signature__ = inspect.signature(function)
