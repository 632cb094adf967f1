from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


include: "rules/cluster.smk"
include: "rules/common.smk"
include: "rules/phantom.smk"
include: "rules/ingest.smk"
include: "rules/preprocess.smk"
include: "rules/features.smk"
include: "rules/cases.smk"
include: "rules/weights.smk"
include: "rules/train.smk"
include: "rules/score.smk"
include: "rules/calibrate.smk"
include: "rules/evaluate.smk"
include: "rules/compare.smk"
include: "rules/combine.smk"
include: "rules/report.smk"


# Minutes of work at most, not worth a place in a queue.
localrules:
    all,
    collect_bundles,
    make_cases,
    audit_domain,
    audit_lineage,
    audit_study,
    audit_predictions,
    calibrate_study,
    evaluate_study,
    compare_arms,
    combine_seeds,
    report_study,


rule all:
    default_target: True
    input:
        expand("<results>/{study}/report/index.html", study=PROJECT.studies),


onsuccess:
    print(report_message())
