"""The publication tables: text cells from tidy rows, without computing any statistic."""
