# The aSAH data that ships with pROC, and pROC's values for it.
#
#   Rscript asah_values.R asah.csv asah_values.csv
#
# The data are written for the duration of a test only; they are not part of this project.

suppressPackageStartupMessages(library(pROC))

arguments <- commandArgs(trailingOnly = TRUE)
data(aSAH)
predictors <- c("s100b", "wfns", "ndka")
table <- data.frame(label = as.integer(aSAH$outcome == "Poor"),
                    lapply(aSAH[predictors], function(x) as.numeric(as.character(x))))
write.csv(table, arguments[1], row.names = FALSE)

curves <- lapply(predictors, function(name) {
  roc(table$label, table[[name]], levels = c(0, 1), direction = "<", quiet = TRUE)
})
rows <- data.frame(name = character(0), value = character(0))
add <- function(name, value) {
  rows[nrow(rows) + 1, ] <<- list(name, sprintf("%.17g", as.numeric(value)))
}
for (i in 1:3) {
  add(paste0("auc_", predictors[i]), auc(curves[[i]]))
  add(paste("cov", predictors[i], predictors[i], sep = "_"), var(curves[[i]], method = "delong"))
  for (j in seq_len(3)[seq_len(3) > i]) {
    pair <- paste(predictors[i], predictors[j], sep = "_")
    add(paste0("cov_", pair), cov(curves[[i]], curves[[j]], method = "delong"))
    test <- roc.test(curves[[i]], curves[[j]], method = "delong")
    add(paste0("z_", pair), test$statistic)
    add(paste0("p_", pair), test$p.value)
  }
}
write.csv(rows, arguments[2], row.names = FALSE, quote = FALSE)
