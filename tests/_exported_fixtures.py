"""One data set, its learner and its bundle for all tests of the export: a plugin of those that name it."""

from __future__ import annotations

import pytest
from PIL import Image

from shoebox.bundle._export import export
from shoebox.data import Dataset
from tests._exported import HEARD, NAMES, SIZES, loaders
from tests._models import lively_learner
from tests._pictures import COLOURS, draw, save

from fastai.vision.all import Normalize, Resize, aug_transforms, imagenet_stats  # isort: skip


@pytest.fixture(scope="session")
def ds(tmp_path_factory):
    """Mixed sizes and kinds: JPEG, PNG, grey, with alpha, palette, and a phone's photo that lies on its side."""
    root = tmp_path_factory.mktemp("export") / "pictures"
    for seed in range(30):
        image = draw(seed, SIZES[seed % len(SIZES)], COLOURS[seed % 3])
        save(root / NAMES[seed % 3] / f"{seed:02} it's.{'png' if seed % 4 == 0 else 'jpg'}", image)
    exif = Image.Exif()
    exif[0x0112] = 6
    save(root / NAMES[0] / "phone.jpg", draw(40, (300, 200)), exif=exif)
    save(root / NAMES[1] / "grey.png", draw(41, (237, 180)).convert("L"))
    alpha = draw(42, (251, 251)).convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize((251, 251)))
    save(root / NAMES[2] / "alpha.png", alpha)
    save(root / NAMES[2] / "palette.png", draw(43, (100, 77)).convert("P"))
    return Dataset(root, valid_pct=0.4)


@pytest.fixture(scope="session")
def learn(ds):
    return lively_learner(loaders(ds, Resize(224), [*aug_transforms(), Normalize.from_stats(*imagenet_stats)]))


@pytest.fixture(scope="session")
def bundle(ds, learn, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "new" / "медведи 'x'"
    HEARD.clear()
    report = export(learn, ds, str(path), name="Bears & <b>others</b>",
                    progress=lambda done, total: HEARD.append((done, total)))
    return path, report
