"""Names of columns and of findings as hospitals write them, in five languages.

They are English, German, French, Spanish and Dutch. All are in small letters without accents
(`plain_word`); names of columns are without anything but letters and digits.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "patient_id": (
        "patient", "patientid", "pid", "subject", "subjectid", "person", "personid", "client",
        "clientid", "patientidentifier", "participant", "participantid", "mrn",
        "patienten", "patientenid", "patientennummer", "patientennr", "patientnr", "patientin",
        "pseudonym", "patnr", "patid",
        "patiente", "idpatient", "idpatiente", "numeropatient", "numeropatiente", "npatient",
        "npatiente",
        "paciente", "idpaciente", "pacienteid", "numeropaciente",
        "patientnummer",
    ),
    "label": (
        "label", "pathology", "diagnosis", "outcome", "result", "class", "cancer", "malignant",
        "malignancy", "finding", "target", "status", "severity", "histology", "groundtruth",
        "diagnose", "befund", "dignitat", "dignitaet", "histologie", "pathologie", "karzinom",
        "krebs", "malignitat", "malignitaet", "bosartig", "boesartig", "ergebnis", "klasse",
        "diagnostic", "resultat", "malignite", "classe",
        "diagnostico", "patologia", "resultado", "hallazgo", "histologia", "malignidad", "clase",
        "bevinding", "uitslag", "maligniteit", "kanker", "resultaat",
    ),
    "exam_id": (
        "exam", "examid", "study", "studyid", "accession", "accessionnumber", "visit",
        "untersuchung", "untersuchungsid", "untersuchungsnummer", "studie", "studienid",
        "examen", "idexamen", "examenid", "etude", "estudio", "idestudio",
        "onderzoek", "onderzoeksid", "onderzoeksnummer",
    ),
    "pair_id": ("pair", "pairid", "match", "matchid", "matchedpair", "paar", "paarid", "paire",
                "pareja"),
    "site": (
        "site", "hospital", "centre", "center", "institution", "clinic",
        "standort", "klinik", "krankenhaus", "zentrum", "einrichtung",
        "hopital", "etablissement", "clinique", "clinica", "centro",
        "ziekenhuis", "kliniek", "centrum", "locatie",
    ),
    "laterality": (
        "side", "laterality", "imagelaterality", "breast", "leftorright", "breastside",
        "seite", "lateralitat", "lateralitaet", "brust", "brustseite", "mammaseite",
        "cote", "lateralite", "sein", "lado", "lateralidad", "mama",
        "zijde", "kant", "lateraliteit", "borst",
    ),
    "view": (
        "view", "projection", "viewposition", "imageview",
        "projektion", "ebene", "ansicht", "aufnahmeebene",
        "incidence", "vue", "proyeccion", "vista", "projectie", "aanzicht",
    ),
    "density": (
        "density", "breastdensity", "acr", "acrdensity", "densitybirads", "biradsdensity",
        "dichte", "brustdichte", "gewebedichte", "brustgewebedichte", "drusendichte",
        "druesendichte", "acrdichte", "dichteacr", "dichtetyp", "parenchymdichte",
        "densite", "densitemammaire", "densiteacr", "densidad", "densidadmamaria", "densidadacr",
        "dichtheid", "borstdichtheid", "densiteit",
    ),
    "birads": (
        "birads", "biradscategory", "assessment", "biradsassessment",
        "biradskategorie", "categoriebirads", "classificationbirads", "categoriabirads",
        "biradscategorie",
    ),
    "age": (
        "age", "patientage", "ageatexam", "ageyears",
        "alter", "patientenalter", "alterjahre", "lebensalter", "agepatiente", "edad", "leeftijd",
    ),
    "official_split": ("split", "subset", "partition", "set"),
    "manufacturer": (
        "manufacturer", "vendor", "maker", "make", "hersteller", "geratehersteller",
        "geraetehersteller", "fabricant", "constructeur", "fabricante", "fabrikant",
    ),
    "pixel_spacing_mm": (
        "pixelspacing", "pixelspacingmm", "spacingmm", "pitch", "pitchmm",
        "pixelabstand", "pixelabstandmm", "pixelgrossemm", "pixelgroessemm",
    ),
}  # fmt: skip
"""Meaning -> names of columns."""

CANCER = (
    "malignant", "malign", "cancer", "carcinoma", "breast cancer",
    "maligne", "karzinom", "carcinom", "bosartig", "boesartig", "krebs", "brustkrebs",
    "mammakarzinom",
    "malin", "carcinome", "cancer du sein",
    "maligno", "maligna", "cancer de mama",
    "kwaadaardig", "kanker", "borstkanker", "carcinoom",
)  # fmt: skip
"""Values that can mean nothing else, whatever is said of the other values."""

POSITIVE = (
    "positive", "pos", "m", "yes", "y", "true", "1", "case",
    "positiv", "ja", "positif", "oui", "positivo", "si", "positief",
)  # fmt: skip

BENIGN = (
    "benign", "b", "benign_without_callback", "gutartig", "benigne", "benin", "benigno", "benigna",
    "goedaardig",
)  # fmt: skip

NORMAL = (
    "normal", "negative", "neg", "healthy", "clear", "none", "control", "no", "n", "false", "0",
    "no cancer", "no finding",
    "o.b.", "o. b.", "ohne befund", "unauffallig", "unauffaellig", "gesund", "negativ", "nein",
    "normale", "negatif", "non", "sain", "saine", "sans anomalie",
    "negativo", "sano", "sana", "sin hallazgos",
    "normaal", "negatief", "nee", "gezond", "geen afwijkingen",
)  # fmt: skip


def plain_word(text: str) -> str:
    """Return a text in small letters without accents, with single blanks."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in letters if not unicodedata.combining(c)).split())
