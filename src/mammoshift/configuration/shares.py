"""How the patients of a domain are shared between train, validation and test."""

from __future__ import annotations

from pydantic import model_validator

from mammoshift.configuration.model import Share, Strict


class Shares(Strict):
    """Shares of a domain's patients; they must sum to one."""

    train: Share = 0.7
    validation: Share = 0.1
    test: Share = 0.2

    @model_validator(mode="after")
    def _sum_to_one(self) -> Shares:
        if abs(self.train + self.validation + self.test - 1.0) > 1e-6:
            raise ValueError("the shares train, validation and test must sum to 1")
        if self.train == 0.0:
            raise ValueError("the share of train is zero; a split without training is no split")
        return self
