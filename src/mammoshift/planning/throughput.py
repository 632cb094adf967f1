"""What is known of the cost of each architecture, for planning only.

Rates are for one A100 with 80 GB and automatic mixed precision, at the image size that they were
published for; other sizes are scaled by the number of pixels, which is what activations, and so
memory traffic, grow with. Sources: NVIDIA DeepLearningExamples for that card itself (ResNet-50 and
EfficientNet-B0; EfficientNet-B5 from its B4; 21.03 containers), and timm's results tables of an
RTX 3090 (channels last; training with torch 1.12, scoring with 2.4), taken times what ResNet-50
gains from one card to the other. A rate measured on the site's own GPU is better: see
`benchmarks/training.py` and `mammoshift plan --measure`.
"""

from __future__ import annotations

from dataclasses import dataclass

TRAINING_PER_SCORING = 3.0
"""Forward and backward pass by the forward pass alone, where training was not measured."""


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
    estimated
        What the rates were estimated from, in words; empty for published and measured ones.
    """

    training_images_per_second: float
    scoring_images_per_second: float
    pixels: int
    estimated: str = ""

    def training_seconds(self, images: float, pixels: int) -> float:
        """Return the seconds to train on so many images of `pixels` pixels."""
        return images * pixels / self.pixels / self.training_images_per_second

    def scoring_seconds(self, images: float, pixels: int) -> float:
        """Return the seconds to score so many images of `pixels` pixels."""
        return images * pixels / self.pixels / self.scoring_images_per_second


_RESNET50 = Throughput(2470, 7560, 224 * 224)
_RESNET50_ON_3090 = 1218, 3730
_SCALED = "from the rate on another card (RTX 3090), scaled as ResNet-50"


def _on_3090(training: float | None, scoring: float, side: int) -> Throughput:
    """Return the cost of an architecture from its rates on an RTX 3090; None: not published."""
    trained, scored = _RESNET50_ON_3090
    scoring_rate = scoring * _RESNET50.scoring_images_per_second / scored
    if training is None:
        rate = scoring_rate / TRAINING_PER_SCORING
        return Throughput(rate, scoring_rate, side**2, f"{_SCALED}; its training as three scorings")
    rate = training * _RESNET50.training_images_per_second / trained
    return Throughput(rate, scoring_rate, side**2, _SCALED)


THROUGHPUT = {
    "resnet50": _RESNET50,
    "vit_base_patch14_dinov2": Throughput(92, 369, 518 * 518),
    "tf_efficientnet_b5": Throughput(167, 604, 456 * 456),
    "efficientnet_b0": Throughput(2489, 16704, 224 * 224),
    "densenet121": _on_3090(914, 3032, 224),
    "seresnet50": _on_3090(972, 3243, 224),
    "ecaresnet50t": _on_3090(658, 2331, 256),
    "coatnet_0_rw_224": _on_3090(None, 2684, 224),
    "maxvit_tiny_tf_224": _on_3090(None, 1399, 224),
    "vit_small_patch16_224": _on_3090(1058, 4617, 224),
    "swin_tiny_patch4_window7_224": _on_3090(649, 2009, 224),
    "mobilenetv2_100": _on_3090(2313, 9888, 224),
    "vgg16": _on_3090(546, 1729, 224),
    "ecaresnet26t": _on_3090(1033, 3637, 256),
    "mobilevit_s": _on_3090(733, 2589, 256),
    "deit_tiny_patch16_224": _on_3090(2290, 10452, 224),
    "mobilenetv3_small_100": _on_3090(8035, 39046, 224),
}
"""Architecture -> cost; an architecture that is not here is planned as unknown."""
