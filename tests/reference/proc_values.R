# Reference values by pROC for the sets of roc_sets.csv.
#
#   Rscript proc_values.R roc_sets.csv proc_values.json
#
# For each set of three curves: the AUCs, their DeLong covariance, the paired tests 1-2, 1-3, 2-3,
# the Wald interval of curve 1, and the unpaired test of its curve 1 against curve 1 of the next
# set; the partial areas at specificities from 0.8 and from 0.95 to 1 with McClish's correction, and
# the one-sided p-values of a loss of 0.05 or more of the first curve against the second, from pROC's
# variances. Numbers carry 17 significant digits; what pROC leaves undefined is null.

suppressPackageStartupMessages(library(pROC))

arguments <- commandArgs(trailingOnly = TRUE)
data <- read.csv(arguments[1], stringsAsFactors = FALSE)

number <- function(x) {
  x <- suppressWarnings(as.numeric(x))
  ifelse(is.finite(x), sprintf("%.17g", x), "null")
}
array_of <- function(x) paste0("[", paste(number(x), collapse = ", "), "]")
attempt <- function(expression) {
  tryCatch(suppressWarnings(suppressMessages(expression)), error = function(e) NULL)
}
curve <- function(rows, k) {
  roc(rows$label, rows[[paste0("score_", k)]], levels = c(0, 1), direction = "<", quiet = TRUE)
}
covariance <- function(a, b) {
  value <- if (identical(a, b)) attempt(var(a, method = "delong"))
           else attempt(cov(a, b, method = "delong"))
  if (is.null(value)) NA else value
}
test_of <- function(a, b, paired) {
  test <- attempt(roc.test(a, b, method = "delong", paired = paired))
  if (is.null(test)) return("null")
  df <- if (is.null(test$parameter)) NA else test$parameter
  sprintf('{"statistic": %s, "df": %s, "p": %s}',
          number(test$statistic), number(df), number(test$p.value))
}

partial <- function(roc, specificity, correct) {
  value <- attempt(auc(roc, partial.auc = c(1, specificity), partial.auc.correct = correct))
  if (is.null(value)) NA else as.numeric(value)
}
margin <- 0.05
noninferior <- function(a, b) {
  difference <- as.numeric(auc(a)) - as.numeric(auc(b))
  variance <- covariance(a, a) + covariance(b, b) - 2 * attempt(cov(a, b, method = "delong"))
  if (!is.finite(variance) || variance <= 1e-15) NA else
    pnorm((difference + margin) / sqrt(variance), lower.tail = FALSE)
}

names <- unique(data$set)
first <- lapply(names, function(name) curve(data[data$set == name, ], 1))
lines <- character(0)
for (i in seq_along(names)) {
  rows <- data[data$set == names[i], ]
  curves <- lapply(1:3, function(k) curve(rows, k))
  aucs <- sapply(curves, function(r) as.numeric(auc(r)))
  matrix <- sapply(1:3, function(b) sapply(1:3, function(a) {
    if (a == b) covariance(curves[[a]], curves[[a]]) else
      attempt(cov(curves[[a]], curves[[b]], method = "delong"))
  }))
  paired <- c(test_of(curves[[1]], curves[[2]], TRUE), test_of(curves[[1]], curves[[3]], TRUE),
              test_of(curves[[2]], curves[[3]], TRUE))
  interval <- attempt(ci.auc(curves[[1]], method = "delong"))
  if (is.null(interval)) interval <- c(NA, NA, NA)
  areas <- lapply(c(0.8, 0.95), function(s) lapply(c(FALSE, TRUE), function(correct)
    array_of(sapply(curves, partial, specificity = s, correct = correct))))
  one_sided <- c(noninferior(curves[[1]], curves[[2]]), noninferior(curves[[1]], curves[[3]]),
                 noninferior(curves[[2]], curves[[3]]))
  following <- first[[if (i < length(names)) i + 1 else 1]]
  lines <- c(lines, sprintf(
    ' "%s": {\n  "auc": %s,\n  "covariance": [%s],\n  "paired": [%s],\n  "wald": %s,\n  "unpaired": %s,\n  "partial": [%s],\n  "noninferior": %s\n }',
    names[i], array_of(aucs),
    paste(apply(matrix, 1, array_of), collapse = ", "), paste(paired, collapse = ", "),
    array_of(interval[c(1, 3)]), test_of(first[[i]], following, FALSE),
    paste(unlist(areas), collapse = ", "), array_of(one_sided)))
}
writeLines(c("{", paste(lines, collapse = ",\n"), "}"), arguments[2])
