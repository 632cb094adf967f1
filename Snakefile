from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


report: "workflow/report/captions/workflow.rst"


include: "rules/cluster.smk"
include: "rules/common.smk"
include: "rules/keys.smk"
include: "rules/phantom.smk"
include: "rules/ingest.smk"
include: "rules/preprocess.smk"
include: "rules/features.smk"
include: "rules/cases.smk"
include: "rules/weights.smk"
include: "rules/search.smk"
include: "rules/train.smk"
include: "rules/score.smk"
include: "rules/calibrate.smk"
include: "rules/card.smk"
include: "rules/evaluate.smk"
include: "rules/compare.smk"
include: "rules/combine.smk"
include: "rules/report.smk"
include: "rules/plan.smk"


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
    write_card,
    evaluate_study,
    compare_arms,
    combine_seeds,
    choose_trial,
    report_study,
    link_reports,


rule all:
    default_target: True
    input:
        study_reports(),
        overview(),
        all_cards(),


onstart:
    check_planned()


onsuccess:
    print(report_message())
