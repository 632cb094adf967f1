"""A stranger's folder with small images and a table."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

HEADER = "file,patient,side,finding"


def write_folder(root: Path, patients: int = 20, rows: list[str] | None = None) -> Path:
    """Write two images of each patient, of whom every second has cancer, and a table of them."""
    (root / "images").mkdir(parents=True)
    table = [HEADER]
    for number in range(patients):
        for side in "LR":
            name = f"images/{number:03}{side}.png"
            Image.new("L", (40, 60), color=20 + number).save(root / name)
            finding = "cancer" if number % 2 else "normal"
            table.append(f"{name},p{number},{side},{finding}")
    (root / "images.csv").write_text("\n".join(rows or table) + "\n", encoding="utf-8")
    return root
