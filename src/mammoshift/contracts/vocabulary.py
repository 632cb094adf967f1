"""The words that manifests and annotations may use.

Standard library only: adapters, which the configuration reads, use them.
"""

LATERALITIES = ("left", "right")
VIEWS = ("CC", "MLO", "ML", "LM", "AT", "XCCL", "other")
PATHOLOGIES = ("normal", "benign", "malignant")
DENSITY_SCALES = ("birads", "mias")
DENSITIES = ("a", "b", "c", "d", "f", "g")
BIRADS = ("0", "1", "2", "3", "4", "4a", "4b", "4c", "5", "6")
"""BI-RADS assessment categories, the least suspicious first; 0 (incomplete) says least."""

OFFICIAL_SPLITS = ("train", "test", "both")
"""The archive's own parts; `both` of an image that the archive has in its two parts."""

LESION_TYPES = ("mass", "calcification", "distortion", "asymmetry", "enhancement", "other")
SHAPES = ("box", "polygon", "circle", "mask")
