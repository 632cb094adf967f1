"""OpenBreast's features against other implementations, values worked out by hand, and the thesis.

Each of the 33 names occurs in a test with its own expected value.
"""

from __future__ import annotations

import itertools
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import pywt
from numpy.typing import NDArray
from PIL import Image
from scipy import stats
from skimage.feature import graycomatrix, graycoprops

sys.path.append(str(Path(__file__).parent))

from mammograms import presented

from mammoshift.configuration.model import InputRecipe
from mammoshift.imaging.decode import decode_image
from mammoshift.imaging.preprocess import preprocess_image
from mammoshift.radiomics.breast import breast_region
from mammoshift.radiomics.openbreast import cooccurrence, fractal, intensity, runs, sharpness
from mammoshift.radiomics.openbreast.region import Region
from mammoshift.radiomics.sets import openbreast32, openbreast33

Floats = NDArray[np.float64]

PUBLISHED = {
    "imin": (0, 32745),
    "imax": (37663, 65535),
    "iavg": (20539, 54226),
    "ient": (4.46, 7.17),
    "istd": (3104, 9064),
    "iba1": (0.55, 3.32),
    "iba2": (-377, 245),
    "iske": (-7.0, 1.43),
    "ikur": (2.3, 60.3),
    "cene": (0.0011, 0.042),
    "ccor": (0.797, 0.990),
    "ccon": (2.5, 39.2),
    "chom": (0.31, 0.70),
    "cent": (5.4, 10.4),
    "rsre": (0.80, 0.97),
    "rlre": (1.14, 2.44),
    "rrpe": (0.74, 0.96),
    "sgra": (3264, 14102),
    "swar": (0.26, 20.4),
}
"""Least and largest over the 1064 training images of the thesis, 16-bit digital mammograms."""
WIDER_ON_FILM = {"istd", "ient", "ikur", "iba1", "ccor", "ccon", "rlre", "sgra", "rrpe"}
"""Film keeps the fall to the skin that digital processing evens out, and is enlarged here."""


def named(names: Iterable[str], values: Floats) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))


def textured(shape: tuple[int, int] = (37, 29), seed: int = 3) -> Region:
    """Return noise of few levels with a mask that has a hole and touches two borders."""
    rng = np.random.default_rng(seed)
    image = np.floor(rng.normal(1000.0, 40.0, shape) / 15.0) * 15.0
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    mask = (x < 0.8 * shape[1]) & (np.hypot(y - 12, x - 9) > 3.0) & (y > 2)
    return Region(image, mask)


def test_intensities_of_five_pixels_by_hand() -> None:
    image = np.array([[1.0, 10.0, 2.0], [3.0, 999.0, 4.0]])
    found = named(intensity.NAMES, intensity.intensity_features(Region(image, image < 100.0)))
    assert found == pytest.approx(
        {
            "imin": 1.0,
            "imax": 10.0,
            "iavg": 4.0,
            "ient": np.log2(5.0),
            "istd": np.sqrt(12.5),
            "ip05": 1.0,
            "ip95": 10.0,
            "iba1": 2.0,
            "iba2": 0.0,
            "ip30": 2.0,
            "ip70": 4.0,
            "iske": 36.0 / 10.0**1.5,
            "ikur": 2.788,
            "iran": 9.0,
        },
        abs=1e-12,
    )


def test_intensities_are_those_of_scipy() -> None:
    region = textured()
    found = named(intensity.NAMES, intensity.intensity_features(region))
    x = region.values
    assert found["iske"] == pytest.approx(stats.skew(x))
    assert found["ikur"] == pytest.approx(stats.kurtosis(x, fisher=False))
    assert found["istd"] == pytest.approx(stats.tstd(x))
    for name, share in (("ip05", 5), ("ip30", 30), ("ip70", 70), ("ip95", 95)):
        assert found[name] == pytest.approx(stats.mstats.mquantiles(x, share / 100, 0.5, 0.5)[0])


def test_a_histogram_bin_holds_its_upper_end() -> None:
    # Of the ends of 256 bins over [0, 256] each whole number but 0 and 1 is one of its own.
    values = np.arange(257.0)
    counts = np.array([2] + [1] * 255)
    assert intensity.histogram_entropy(values) == pytest.approx(stats.entropy(counts, base=2))


def test_cooccurrence_is_that_of_scikit_image() -> None:
    region = textured()
    levels = cooccurrence.quantised(region).astype(np.uint8)
    counts = graycomatrix(levels, [1], np.arange(4) * np.pi / 4, levels=129, symmetric=True)
    inside = counts[:128, :128]
    p = inside / inside.sum(axis=(0, 1), keepdims=True)
    apart = np.abs(np.subtract.outer(np.arange(128), np.arange(128)))[:, :, None, None]
    found = named(cooccurrence.NAMES, cooccurrence.cooccurrence_features(region))
    expected = {
        "cene": graycoprops(p, "ASM").mean(),
        "ccor": graycoprops(p, "correlation").mean(),
        "ccon": graycoprops(p, "contrast").mean(),
        "chom": (p / (1 + apart)).sum(axis=(0, 1)).mean(),
        "cent": np.mean([stats.entropy(p[..., a].ravel(), base=2) for a in range(4)]),
    }
    assert found == pytest.approx(expected)


def test_levels_of_cooccurrence_are_equal_bins_from_the_least_to_the_largest() -> None:
    image = np.array([[0.0, 0.99, 1.0, 127.0, 128.0]])
    assert cooccurrence.quantised(Region(image, image >= 0)).tolist() == [[0, 0, 1, 127, 127]]


def test_runs_of_a_small_image_by_hand() -> None:
    # Levels 1, 1, 256 / 256, -, 256: a hole in the middle joins the second row to one run.
    image = np.array([[0.0, 0.0, 255.0], [255.0, 77.0, 255.0]])
    mask = np.array([[True, True, True], [True, False, True]])
    found = named(runs.NAMES, runs.run_features(Region(image, mask)))
    # 0 degrees: 1 1 | 256 / 256 256 -> three runs of 2, 1, 2.
    # 90: 1 | 256 / 1 / 256 256 -> four runs of 1, 1, 1, 2.
    # 45 and 135: 1 / 256 | 1 / 256 / 256 and 256 / 1 / 1 | 256 / 256: five runs of 1.
    assert found == pytest.approx(
        {
            "rsre": np.mean([1.5 / 3, 3.25 / 4, 1.0, 1.0]),
            "rlre": np.mean([9 / 3, 7 / 4, 1.0, 1.0]),
            "rgln": np.mean([5 / 3, 8 / 4, 13 / 5, 13 / 5]),
            "rrpe": np.mean([3 / 5, 4 / 5, 1.0, 1.0]),
            "rrln": np.mean([5 / 3, 10 / 4, 5.0, 5.0]),
            "rlgr": np.mean(
                [
                    (1 + 2 / 65536) / 3,
                    (2 + 2 / 65536) / 4,
                    (2 + 3 / 65536) / 5,
                    (2 + 3 / 65536) / 5,
                ]
            ),
            "rhgr": np.mean(
                [
                    (1 + 2 * 65536) / 3,
                    (2 + 2 * 65536) / 4,
                    (2 + 3 * 65536) / 5,
                    (2 + 3 * 65536) / 5,
                ]
            ),
        }
    )


@pytest.mark.parametrize("shape", [(37, 29), (20, 41)])
def test_runs_are_those_of_a_walk_along_every_line(shape: tuple[int, int]) -> None:
    region = textured(shape)
    levels = np.where(region.mask, 0, -1)
    values = region.values
    slope = 255.0 / (values.max() - values.min())
    levels[region.mask] = np.floor(slope * (values - values.min()) + 1.5)
    turned = levels[:, ::-1]
    diagonals = range(-shape[0] + 1, shape[1])
    directions = [
        list(levels),
        [turned.diagonal(k) for k in diagonals],
        list(levels.T),
        [levels.diagonal(k) for k in diagonals],
    ]
    expected = []
    for lines in directions:
        found = [
            (level, len(list(same)))
            for line in lines
            for level, same in itertools.groupby(line[line >= 0].tolist())
        ]
        level, length = np.array(found, dtype=float).T
        expected.append(
            [
                np.mean(length**-2),
                np.mean(length**2),
                sum(np.sum(level == i) ** 2 for i in set(level)) / len(found),
                len(found) / region.mask.sum(),
                sum(np.sum(length == j) ** 2 for j in set(length)) / len(found),
                np.mean(level**-2),
                np.mean(level**2),
            ]
        )
    np.testing.assert_allclose(runs.run_features(region), np.mean(expected, axis=0), rtol=1e-12)


def test_edges_of_a_ramp_and_of_a_speck_by_hand() -> None:
    y, x = np.mgrid[0:20, 0:16].astype(float)
    inner = np.zeros(x.shape, bool)
    inner[2:-2, 2:-2] = True
    ramp = named(sharpness.NAMES, sharpness.sharpness_features(Region(3 * x + 4 * y, inner)))
    assert ramp["sgra"] == pytest.approx(8 * 5.0)
    assert ramp["stev"] == pytest.approx(0.0, abs=1e-9)
    assert ramp["slap"] == pytest.approx(0.0, abs=1e-12)
    image = np.zeros((20, 16))
    image[9, 7] = 10.0
    whole = np.ones(image.shape, bool)
    speck = named(sharpness.NAMES, sharpness.sharpness_features(Region(image, whole)))
    # Laplacian: 20 + 20 in the middle and 10 at each of four neighbours. Gradient: 20 at those
    # four, 10 sqrt 2 at the four diagonal ones.
    gradient = np.r_[np.full(4, 20.0), np.full(4, 10.0 * np.sqrt(2.0)), np.zeros(320 - 8)]
    assert speck["slap"] == pytest.approx(80.0 / 320)
    assert speck["sgra"] == pytest.approx(gradient.mean())
    assert speck["stev"] == pytest.approx(gradient.std(ddof=1))


@pytest.mark.filterwarnings("ignore:Level value of:UserWarning")
def test_wavelets_are_those_of_filters_written_out() -> None:
    region = textured((38, 31))
    image, mask = region.image, region.mask

    def operators(length: int) -> tuple[Floats, Floats]:
        """Return the projections [length, length] on the rough and on the fine part."""
        taps = pywt.Wavelet("db6")  # pyright: ignore[reportAttributeAccessIssue]
        found = []
        for analysis, synthesis in ((taps.dec_lo, taps.rec_lo), (taps.dec_hi, taps.rec_hi)):
            columns = []
            for place in range(length):
                unit = np.zeros(length)
                unit[place] = 1.0
                padded = np.pad(unit, len(analysis) - 1, mode="symmetric")
                kept = np.convolve(padded, analysis, "valid")[1::2]
                raised = np.zeros(2 * kept.size - 1)
                raised[::2] = kept
                start = len(synthesis) - 2
                columns.append(np.convolve(raised, synthesis)[start : start + length])
            found.append(np.array(columns).T)
        return found[0], found[1]

    (low_y, high_y), (low_x, high_x) = (operators(length) for length in image.shape)
    details = [high_y @ image @ low_x.T, low_y @ image @ high_x.T, high_y @ image @ high_x.T]
    np.testing.assert_allclose(low_y @ image @ low_x.T + sum(details), image, atol=1e-8)
    inside = [np.abs(detail[mask]) for detail in details]
    found = named(sharpness.NAMES, sharpness.sharpness_features(region))
    assert found["swas"] == pytest.approx(sum(d.mean() for d in inside))
    assert found["swav"] == pytest.approx(sum(d.var(ddof=1) for d in inside))
    rough = 0.0
    for level in (1, 2, 3):
        whole = pywt.wavedec2(image, "db6", level=level)
        alone = [whole[0], *(tuple(map(np.zeros_like, part)) for part in whole[1:])]
        rebuilt = pywt.waverec2(alone, "db6")[: mask.shape[0], : mask.shape[1]]
        rough += np.abs(rebuilt[mask]).mean()
    assert found["swar"] == pytest.approx(sum(np.mean(d * d) for d in inside) / rough)


def test_the_fractal_dimension_of_a_ramp_is_nothing_and_of_noise_two() -> None:
    y, x = np.mgrid[0:256, 0:256].astype(float)
    whole = np.ones(x.shape, bool)
    ramp = fractal.fractal_features(Region(1e5 * (x + y), whole))[0]
    noise = np.random.default_rng(0).normal(0.0, 1e4, x.shape)
    rough = fractal.fractal_features(Region(noise, whole))[0]
    assert ramp == pytest.approx(0.0, abs=0.15)
    assert rough == pytest.approx(2.0, abs=0.15)


def test_the_fractal_dimension_of_two_scales_by_hand() -> None:
    # Eight pixels: boxes of 1 and 2 pixels of 0.1 mm.
    image = np.zeros((8, 8))
    image[:, 4:] = 100.0
    whole = np.ones(image.shape, bool)
    # One step of 100 in each row; the erosion takes nothing off at the image's border.
    fine = 0.1**2 + 0.1 * 800.0
    half = fractal.reduced(image, (4, 4), (0.5, 0.5))
    kept = fractal.reduced(fractal._eroded(whole).astype(float), (4, 4), (0.5, 0.5)) > 0.5
    right = np.abs(np.diff(half, axis=1, append=half[:, -1:]))
    coarse = 0.2**2 + 0.2 * right[kept].sum()
    found = named(fractal.NAMES, fractal.fractal_features(Region(image, whole)))
    assert found == pytest.approx({"fdim": -np.log2(coarse / fine)})


def test_an_image_is_reduced_as_by_pillow() -> None:
    image = np.random.default_rng(1).normal(100.0, 20.0, (64, 48))
    found = fractal.reduced(image, (16, 12), (0.25, 0.25))
    other = np.asarray(
        Image.fromarray(image.astype(np.float32)).resize((12, 16), Image.Resampling.BICUBIC)
    )
    # At the border Pillow leaves out what lies beyond, and MATLAB reflects it.
    np.testing.assert_allclose(found[2:-2, 2:-2], other[2:-2, 2:-2], rtol=1e-5)


def test_names_are_in_the_order_of_the_thesis() -> None:
    assert len(openbreast32.NAMES) == len(set(openbreast32.NAMES)) == 32
    assert (*openbreast32.NAMES, "fdim") == openbreast33.NAMES
    assert openbreast32.NAMES[0::10] == ("imin", "ip70", "rlre", "swar")


def test_what_is_not_defined_is_nan_and_nothing_else() -> None:
    flat = Region(np.full((24, 24), 500.0), np.ones((24, 24), bool))
    found = named(openbreast33.NAMES, openbreast33.compute(flat))
    undefined = {name for name, value in found.items() if np.isnan(value)}
    assert undefined == {"iske", "ikur", "ccor"}
    single = np.zeros((24, 24), bool)
    single[5, 5] = True
    assert np.isfinite(openbreast32.compute(Region(flat.image, single))[:5]).all()


def test_published_ranges_hold_on_a_drawn_digital_mammogram() -> None:
    region = breast_region(presented(0), None)
    assert region is not None
    found = named(openbreast33.NAMES, openbreast33.compute(region))
    for name, (low, high) in PUBLISHED.items():
        assert low <= found[name] <= high, name


def test_published_ranges_hold_on_real_films_but_for_what_film_widens(
    shared_data: Path, tmp_path: Path
) -> None:
    recipe = InputRecipe(size=(1152, 896), tone="full_range", crop="none", fit="stretch")
    with tarfile.open(shared_data / "mias" / "all-mias.tar.gz") as archive:
        # The archive is read as far as its second film.
        films = itertools.islice((m for m in archive if m.name.endswith(".pgm")), 2)
        for film in films:
            path = tmp_path / "film.pgm"
            content = archive.extractfile(film)
            assert content is not None
            path.write_bytes(content.read())
            region = breast_region(preprocess_image(decode_image(path), recipe).array, None)
            assert region is not None
            found = named(openbreast32.NAMES, openbreast32.compute(region))
            for name, (low, high) in PUBLISHED.items():
                wide = 2.5 if name in WIDER_ON_FILM else 1.0
                assert low / wide <= found[name] <= high * wide, (film.name, name)


def test_an_image_without_a_breast_has_no_region() -> None:
    assert breast_region(np.zeros((200, 150), np.uint16), 0.1) is None
