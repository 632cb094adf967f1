# Reference values for meta-analysis (package metafor) and adjusted p-values (base R).
#
#   Rscript general_values.R general_values.json

suppressPackageStartupMessages(library(metafor))

arguments <- commandArgs(trailingOnly = TRUE)
number <- function(x) ifelse(is.finite(x), sprintf("%.17g", as.numeric(x)), "null")
array_of <- function(x) paste0("[", paste(number(x), collapse = ", "), "]")

effects <- list(
  spread = list(y = c(0.031, -0.012, 0.054, 0.008), se = c(0.012, 0.010, 0.015, 0.009)),
  alike = list(y = c(0.020, 0.021, 0.019), se = c(0.010, 0.012, 0.011)),
  two = list(y = c(0.05, -0.01), se = c(0.02, 0.01)),
  many = list(y = c(0.4, 0.1, -0.2, 0.3, 0.25, 0.6, -0.1), se = c(0.1, 0.2, 0.15, 0.3, 0.1, 0.25, 0.2))
)
blocks <- character(0)
for (name in names(effects)) {
  e <- effects[[name]]
  fits <- character(0)
  for (method in c("PM", "DL")) for (test in c("knha", "adhoc")) {
    fit <- rma(e$y, sei = e$se, method = method, test = test,
               control = list(tol = 1e-14, maxiter = 1000))
    fits <- c(fits, sprintf(
      '   "%s_%s": {"estimate": %s, "se": %s, "p": %s, "ci": %s, "tau2": %s, "i2": %s, "q": %s, "q_p": %s}',
      method, test, number(fit$beta), number(fit$se), number(fit$pval),
      array_of(c(fit$ci.lb, fit$ci.ub)), number(fit$tau2), number(fit$I2 / 100),
      number(fit$QE), number(fit$QEp)))
  }
  common <- rma(e$y, sei = e$se, method = "EE")
  blocks <- c(blocks, sprintf(
    '  "%s": {\n   "y": %s,\n   "se": %s,\n%s,\n   "common": {"estimate": %s, "se": %s, "z": %s, "p": %s}\n  }',
    name, array_of(e$y), array_of(e$se), paste(fits, collapse = ",\n"), number(common$beta),
    number(common$se), number(common$zval), number(common$pval)))
}
p <- c(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262,
       0.5719, 0.6528, 0.759, 1, 0.0019)
adjusted <- sapply(c("BH", "BY", "holm"), function(method) {
  sprintf('  "%s": %s', tolower(method), array_of(p.adjust(p, method)))
})
writeLines(c("{", ' "effects": {', paste(blocks, collapse = ",\n"), " },", ' "adjusted": {',
             sprintf('  "p": %s,', array_of(p)), paste(adjusted, collapse = ",\n"), " }", "}"),
           arguments[1])
