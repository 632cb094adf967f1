"""
Synthetic twins of archives.

Output: a receipt that lists the files of the raw archive written beside it, in the real
archive's own layout. Real archives are not made by any rule.
"""


rule make_twin:
    output:
        "<results>/archives/{dataset}.json",
    log:
        "<logs>/make_twin/{dataset}.log",
    conda:
        ENVIRONMENT
    params:
        twin=lambda wildcards: leaves.twin_leaves(PROJECT, wildcards.dataset),
        code=code("make_twin.py", twin_module),
    script:
        "../workflow/scripts/make_twin.py"
