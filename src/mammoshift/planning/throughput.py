"""What is known of the cost of each architecture, for planning only.

Training throughput is for one A100 with 80 GB and automatic mixed precision, at the image size
that it was published for; other sizes are scaled by the number of pixels, which is what
activations, and so memory traffic, grow with. Sources: NVIDIA DeepLearningExamples (ResNet-50,
EfficientNet-B4, 21.03 containers) and timm's results tables (others, RTX 3090, scaled by the
ratio of the two cards on ResNet-50). A figure measured on the site's own GPU is better: see
`benchmarks/training.py`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Throughput:
    """Cost of one architecture.

    Attributes
    ----------
    training_images_per_second
        Forward and backward pass at `pixels`.
    scoring_images_per_second
        Forward pass alone at `pixels`.
    pixels
        Rows times columns of the published figure.
    parameters
        Of the feature extractor.
    """

    training_images_per_second: float
    scoring_images_per_second: float
    pixels: int
    parameters: int

    def training_seconds(self, images: float, pixels: int) -> float:
        """Return the seconds to train on so many images of `pixels` pixels."""
        return images * pixels / self.pixels / self.training_images_per_second

    def scoring_seconds(self, images: float, pixels: int) -> float:
        """Return the seconds to score so many images of `pixels` pixels."""
        return images * pixels / self.pixels / self.scoring_images_per_second


THROUGHPUT = {
    "resnet50": Throughput(2470, 7560, 224 * 224, 23_508_032),
    "vit_base_patch14_dinov2": Throughput(92, 369, 518 * 518, 86_579_712),
    "tf_efficientnet_b5": Throughput(167, 604, 456 * 456, 28_340_784),
}
"""Architecture -> cost; an architecture that is not here is planned as unknown."""
