"""A training loop of the usual kind, for comparison: timm, PIL, torchvision and a DataLoader.

    python benchmarks/plain_training.py PICTURES ARCHITECTURE BATCH_SIZE THREADS

PICTURES is a folder of PNG files. Trains an epoch for each line that it is given and prints images
per second. `benchmarks/training.py` runs it; without arguments it says so.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

WORKERS = 2


def main(pictures: Path, architecture: str, batch_size: int, threads: int) -> None:
    import timm
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    class Pictures(Dataset):
        def __init__(self) -> None:
            self.files = sorted(pictures.glob("*.png"))
            self.changed = transforms.Compose(
                [
                    transforms.RandomHorizontalFlip(),
                    transforms.RandomAffine(10, translate=(0.05, 0.05), scale=(0.9, 1.1)),
                    transforms.ColorJitter(brightness=0.1),
                    transforms.ToTensor(),
                    transforms.Normalize([0.25] * 3, [0.25] * 3),
                ]
            )

        def __len__(self) -> int:
            return len(self.files)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, float]:
            image = Image.open(self.files[index]).convert("RGB")
            return self.changed(image), float(index % 2)  # pyright: ignore[reportReturnType]

    torch.set_num_threads(threads)
    loader = DataLoader(
        Pictures(), batch_size, shuffle=True, num_workers=WORKERS, persistent_workers=True
    )
    model = timm.create_model(architecture, num_classes=1).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loss_of = torch.nn.BCEWithLogitsLoss()
    for _line in sys.stdin:
        began = time.monotonic()
        total = 0.0
        for images, labels in loader:
            loss = loss_of(model(images).squeeze(1), labels.float())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item()
        print(len(loader.dataset) / (time.monotonic() - began), flush=True)  # pyright: ignore


if __name__ == "__main__":
    if len(sys.argv) == 5:
        main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
    else:
        print("a peer of benchmarks/training.py, which runs it")
