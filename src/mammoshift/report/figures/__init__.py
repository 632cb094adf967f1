"""The figures of the report: each drawn from the tidy table that lies beside it."""
