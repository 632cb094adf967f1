from __future__ import annotations

from dataclasses import fields, replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import ValidationError
from scipy.stats import mannwhitneyu

from mammoshift.configuration.dataset import DensityShares, Population, Scanner
from mammoshift.phantoms.anatomy import Projection, project_breast
from mammoshift.phantoms.imaging import image_breast
from mammoshift.phantoms.outline import geometry_of
from mammoshift.phantoms.patient import CaseMix, Density, Patient, draw_patient
from mammoshift.phantoms.registry import own_scanner
from mammoshift.phantoms.scanner import (
    ScannerModel,
    Tone,
    detector_position,
    develop,
    expose,
    quantise,
)
from mammoshift.phantoms.scanners import scanner_for
from mammoshift.phantoms.streams import stream
from mammoshift.phantoms.tissue import GLANDULAR_SHARE

MASSES = CaseMix(mass=1.0, calcification=0.0, both=0.0, normals=False)
COARSE = scanner_for("cmmd", Scanner(), 10.6)


def patient_of(number: int, density: Density = "b", malignant: bool = True) -> Patient:
    shares = DensityShares(**{name: float(name == density) for name in "abcd"})
    population = Population(malignant=float(malignant), benign=float(not malignant), density=shares)
    return draw_patient(11, number, population, MASSES)


@cache
def projections_of(number: int, density: Density, malignant: bool) -> tuple[Projection, Projection]:
    """Return one breast with its mass and without it."""
    patient = patient_of(number, density, malignant)
    with_mass, without = (
        project_breast(patient, patient.main_side, "CC", COARSE.halvings, contrast)
        for contrast in (1.0, 0.0)
    )
    return with_mass, without


def matched_filter(
    number: int, density: Density, malignant: bool, contrast: float, scanner: ScannerModel
) -> float:
    """Score the known site of a mass: mean inside a disc less the mean of a ring around it."""
    with_mass, without = projections_of(number, density, malignant)
    added = with_mass.optical_depth - without.optical_depth
    projection = replace(
        without, optical_depth=without.optical_depth + np.float32(contrast) * added
    )
    rng = stream(5, "noise", number, str(contrast), str(scanner.dose))
    image = -np.log(expose(projection, scanner, rng))
    site = with_mass.sites[0]
    row, column = detector_position(site.row_mm, site.column_mm, scanner)
    rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
    distance = np.hypot(rows - row, columns - column) * scanner.pitch_mm
    inside, ring = distance <= 5, (distance > 14) & (distance <= 20)
    return float(image[inside].mean() - image[ring].mean())


def auc_of(present: list[float], absent: list[float]) -> float:
    u = mannwhitneyu(present, absent).statistic
    return float(u) / (len(present) * len(absent))


def detection_auc(contrast: float, density: Density = "b", dose: float = 1.0) -> float:
    """Return the AUC of finding a mass at a known site against the same breasts without it."""
    scanner = replace(COARSE, dose=dose)
    numbers = range(1, 25)
    present = [matched_filter(number, density, True, contrast, scanner) for number in numbers]
    absent = [matched_filter(number, density, True, 0.0, scanner) for number in numbers]
    return auc_of(present, absent)


def test_without_contrast_nothing_is_left_to_detect() -> None:
    malignant = [matched_filter(number, "b", True, 0.0, COARSE) for number in range(1, 25)]
    benign = [matched_filter(number, "b", False, 0.0, COARSE) for number in range(25, 49)]
    assert auc_of(malignant, benign) == pytest.approx(0.5, abs=0.2)
    assert detection_auc(1e-9) == pytest.approx(0.5, abs=0.05)


def test_detection_rises_with_contrast() -> None:
    values = [detection_auc(contrast) for contrast in (0.1, 0.5, 2.0)]
    assert values[0] < values[1] < values[2]
    assert values[2] > 0.9


def test_detection_falls_with_density() -> None:
    values = [detection_auc(0.5, density) for density in ("a", "c", "d")]
    assert values[0] > values[1] + 0.02
    assert values[0] > values[2] + 0.02


def test_detection_rises_with_dose() -> None:
    values = [detection_auc(0.3, "a", dose) for dose in (2e-4, 2e-3, 1.0)]
    assert values[0] < values[1] < values[2]


def test_malignant_masses_attenuate_more_than_benign_ones() -> None:
    def added(number: int, malignant: bool) -> float:
        with_mass, without = projections_of(number, "b", malignant)
        return float((with_mass.optical_depth - without.optical_depth).sum())

    malignant = [added(number, True) for number in range(1, 25)]
    benign = [added(number, False) for number in range(25, 49)]
    assert 0.75 < auc_of(malignant, benign) < 1.0


def test_glandular_share_follows_the_density_class() -> None:
    references = []
    for density in GLANDULAR_SHARE:
        patients = [replace(patient_of(n, density), thickness_mm=50.0) for n in range(1, 13)]
        projections = [project_breast(p, "left", "CC", 0, 0.0) for p in patients]
        references.append(float(np.mean([p.reference for p in projections])))
    assert references == sorted(references)
    assert references[3] > 1.08 * references[0]


def test_air_attenuates_nothing_and_mlo_shows_the_pectoral_muscle() -> None:
    patient = patient_of(3, "a")
    craniocaudal = project_breast(patient, "left", "CC", 0).optical_depth
    oblique = project_breast(patient, "left", "MLO", 0).optical_depth
    assert craniocaudal[0].max() == 0
    assert craniocaudal[:, -1].max() == 0
    muscle, fat = oblique[10, 5], np.median(oblique[oblique > 1])
    assert muscle > fat


def test_the_same_patient_on_another_scanner_keeps_her_anatomy() -> None:
    patient = patient_of(5, "c")
    first = replace(scanner_for("cmmd", Scanner(), 8), dust_per_cm2=0.0)
    second = scanner_for("dmid", Scanner(tone="linear"), 12)
    one, _ = image_breast(patient, "left", "MLO", first)
    other, _ = image_breast(patient, "left", "MLO", second)
    stranger, _ = image_breast(patient_of(6, "c"), "left", "MLO", second)
    same = texture_correlation(one, first, other, second)
    assert same > 0.9
    assert same > texture_correlation(one, first, stranger, second) + 0.2


def texture_correlation(
    a: npt.NDArray[np.float32], of_a: ScannerModel, b: npt.NDArray[np.float32], of_b: ScannerModel
) -> float:
    """Correlate two images on the points of a 2 mm grid inside the breast."""
    rows_mm, columns_mm = np.mgrid[70:170:2, 10:50:2]

    def values(image: npt.NDArray[np.float32], scanner: ScannerModel) -> npt.NDArray[np.float32]:
        places = [
            detector_position(row, column, scanner)
            for row, column in zip(rows_mm.ravel(), columns_mm.ravel(), strict=True)
        ]
        rows, columns = np.rint(np.array(places)).astype(int).T
        return image[rows, columns]

    return float(np.corrcoef(values(a, of_a), values(b, of_b))[0, 1])


def test_the_detector_sees_poisson_noise_and_less_of_it_at_a_higher_dose() -> None:
    patient = patient_of(2)
    projection = project_breast(patient, "left", "CC", COARSE.halvings)
    quiet = replace(COARSE, dose=1e6, electronic_noise=0.0)
    clean = expose(projection, quiet, stream(0, "clean"))
    for dose in (0.02, 0.5):
        scanner = replace(COARSE, dose=dose, electronic_noise=0.0)
        noisy = expose(projection, scanner, stream(0, "noise", str(dose)))
        breast = (clean > 0.5) & (clean < 2)
        variance = np.mean((noisy - clean)[breast] ** 2 / clean[breast])
        assert variance * scanner.quanta == pytest.approx(1.0, rel=0.05)


def test_blur_follows_the_mtf() -> None:
    scanner = replace(COARSE, electronic_noise=0.0, dose=1e9)
    projection = project_breast(patient_of(1), "left", "CC", 1)
    wave_per_mm = 0.25
    waves = np.cos(2 * np.pi * wave_per_mm * 0.5 * np.arange(projection.optical_depth.shape[1]))
    striped = replace(
        projection,
        optical_depth=np.broadcast_to(
            -np.log(1 + 0.2 * waves).astype(np.float32), projection.optical_depth.shape
        ).copy(),
        reference=0.0,
    )
    image = expose(striped, scanner, stream(0, "wave"))
    middle = image[50:150, 40:120].mean(axis=0)
    measured = (middle.max() - middle.min()) / 0.4
    f0 = scanner.mtf_frequency_per_mm / scanner.magnification
    expected = np.exp(-((wave_per_mm / f0) ** scanner.mtf_exponent))
    assert measured == pytest.approx(float(expected), abs=0.08)


@pytest.mark.parametrize("layout", ["cbis_ddsm", "cmmd", "dmid", "mias"])
@pytest.mark.parametrize("tone", ["linear", "sigmoid", "film"])
def test_every_tone_is_bright_where_the_breast_is_dense(layout: str, tone: Tone) -> None:
    scanner = replace(scanner_for("cmmd", Scanner(), 10), tone=tone, grain=0.0)
    if layout != "cmmd":
        scanner = replace(scanner, digitiser=own_scanner(layout).digitiser)
    exposure = np.geomspace(8, 0.3, 50, dtype=np.float32)[None, :].repeat(4, axis=0)
    grey = develop(exposure, scanner, stream(0, "film"))
    assert grey.min() >= 0
    assert grey.max() <= 1
    assert np.all(np.diff(np.median(grey, axis=0)) > -0.01)
    assert grey[:, -1].mean() > grey[:, 0].mean() + 0.05


def test_right_breasts_are_mirrored_and_markers_stay_readable() -> None:
    own = scanner_for("cbis_ddsm", Scanner(), 10)
    scanner = replace(own, digitiser="density", label_share=1.0, dust_per_cm2=0.0)
    patient = patient_of(4)
    left, _ = image_breast(patient, "left", "CC", scanner)
    right, _ = image_breast(patient, "right", "CC", scanner)
    assert left[:, :20].mean() > left[:, -20:].mean()
    assert right[:, -20:].mean() > right[:, :20].mean()
    for image, columns in ((left, slice(-80, None)), (right, slice(0, 80))):
        assert (image[:80, columns] > 0.5).sum() > 300


def test_overrides_change_the_scanner_and_keep_the_field() -> None:
    finer = scanner_for("cmmd", Scanner(pixel_pitch_mm=0.05, dose=0.5), 2)
    assert finer.pitch_mm == pytest.approx(0.1)
    assert finer.dose == 0.5
    assert scanner_for("cmmd", Scanner()).shape == (2294, 1914)
    assert scanner_for("mias", Scanner()).shape == (1024, 1024)
    assert finer.shape[0] * finer.pitch_mm == pytest.approx(2294 * 0.0940909, abs=0.1)


def test_quantise_fills_the_range() -> None:
    grey = np.array([[-0.1, 0.0, 0.5, 1.0, 1.2]], np.float32)
    assert quantise(grey, 8).tolist() == [[0, 0, 128, 255, 255]]
    assert quantise(grey, 16).dtype == np.uint16
    assert quantise(grey, 16).max() == 65535


@pytest.mark.parametrize("dose", [0.004, 0.02, 3.0])
def test_a_patient_imaged_again_at_another_dose_has_the_same_draw_in_every_pixel(
    dose: float,
) -> None:
    projection = project_breast(patient_of(2), "left", "CC", COARSE.halvings)
    quiet = expose(projection, replace(COARSE, dose=1e8, electronic_noise=0.0), stream(0, "a"))
    inner = (quiet > 0.5) & (quiet < 2)

    def noise(scanner: ScannerModel) -> npt.NDArray[np.float32]:
        return (expose(projection, scanner, stream(0, "a")) - quiet)[inner]

    first, again = noise(COARSE), noise(replace(COARSE, dose=dose))
    assert np.array_equal(first, noise(COARSE))
    assert np.corrcoef(first, again)[0, 1] > 0.97


def test_counts_have_the_mean_the_variance_and_the_skewness_of_quanta_and_electronics() -> None:
    projection = project_breast(patient_of(2), "left", "CC", COARSE.halvings)
    flat = replace(projection, optical_depth=np.zeros_like(projection.optical_depth), reference=0.0)
    scanner = replace(COARSE, dose=0.01, electronic_noise=3.0)
    counted = expose(flat, scanner, stream(0, "flat")).astype(np.float64) * scanner.quanta
    variance = scanner.quanta + 9.0
    assert counted.mean() == pytest.approx(scanner.quanta, rel=0.02)
    assert counted.var() == pytest.approx(variance, rel=0.05)
    skewness = ((counted - counted.mean()) ** 3).mean() / counted.std() ** 3
    assert skewness == pytest.approx(scanner.quanta / variance**1.5, abs=0.05)


def test_a_twin_takes_the_whole_scanner_of_another_archive() -> None:
    like = scanner_for("csv", Scanner(like="mias", dose=0.5), 2)
    film, own = own_scanner("mias"), own_scanner("csv")
    assert (like.tone, like.digitiser, like.field_mm) == ("film", "density", film.field_mm)
    assert (like.pixel_pitch_mm, like.grain) == (film.pixel_pitch_mm, film.grain)
    assert (like.dose, like.bits, like.magnification) == (0.5, own.bits, 2)
    with pytest.raises(ValidationError, match="no scanner like 'mia'; there are those of cbis"):
        Scanner(like="mia")


def test_every_parameter_of_a_scanner_can_be_configured() -> None:
    kept = {"name", "bits", "magnification"}
    parameters = {field.name for field in fields(ScannerModel)} - kept
    assert parameters | {"like"} == set(Scanner.model_fields)


def test_processing_for_display_lifts_the_periphery_and_enhances_edges() -> None:
    projection = project_breast(patient_of(2), "left", "CC", COARSE.halvings)
    plain = replace(COARSE, thickness_equalisation=0.0, edge_enhancement=0.0)
    exposure = expose(projection, replace(COARSE, dose=1e6), stream(0, "clean"))

    def grey(scanner: ScannerModel) -> npt.NDArray[np.float32]:
        return develop(exposure, scanner, stream(0, "film"))

    raw, lifted = grey(plain), grey(replace(plain, thickness_equalisation=0.8))
    sharp = grey(replace(plain, edge_enhancement=1.0))
    depth = -np.log(exposure)
    air = depth < depth.min() + 0.1
    edge = ~air & (depth < -0.8)
    middle = np.abs(depth) < 0.2
    assert np.abs(lifted - raw)[air].max() < 0.02
    assert (lifted - raw)[edge].mean() > 0.1
    assert np.abs((lifted - raw)[middle]).mean() < 0.05
    assert np.diff(sharp, axis=1)[middle[:, 1:]].std() > 1.2 * np.diff(raw)[middle[:, 1:]].std()


def test_the_muscle_is_curved_and_thins_towards_its_edge() -> None:
    deviations, steps = [], []
    for number in range(1, 7):
        patient = patient_of(number, "a")
        geometry = geometry_of(patient, "left", "MLO")
        across, along = geometry.pectoral_mm
        rows = np.linspace(0.0, along, 50)
        straight = across * (1.0 - rows / along)
        deviations.append(np.abs(geometry.pectoral_edge(rows) - straight).max())
        depth = project_breast(patient, "left", "MLO", 0).optical_depth
        edge = int(geometry.pectoral_edge(np.array([20.0]))[0])
        steps.append(depth[18:23, 2:8].mean() - depth[18:23, edge - 8 : edge - 3].mean())
    assert np.median(deviations) > 1.5
    assert np.median(steps) > 0.05
