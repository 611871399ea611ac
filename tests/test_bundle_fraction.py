"""A large JPEG is decoded at the same fraction by the learner and by its bundle, and another number is found out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import shoebox
from shoebox.bundle import _export, check, inspect, load_classifier
from shoebox.bundle._export import export
from shoebox.bundle._export_fraction import Fractions, compare_with_full
from shoebox.data import Dataset, open_image
from shoebox.errors import BundleError, ImageError
from shoebox.training import _dataloaders
from shoebox.training._opener import Opener, least_px_for
from tests._exported import all_asked
from tests._models import edit_manifest, lively_learner
from tests._pictures import save

from fastai.vision.all import (  # isort: skip
    CategoryBlock, CropPad, DataBlock, ImageBlock, IntToFloatTensor, PILImage, RandomResizedCrop, Resize,
    TransformBlock, get_image_files, load_learner, parent_label)

pytestmark = pytest.mark.slow
SIZES = ((894, 1000), (895, 1300), (1300, 897), (1791, 1795), (1800, 1900), (500, 3000), (300, 200), (1000, 1001))
KINDS = ({}, {"progressive": True}, {"mode": "L"}, {"mode": "CMYK"}, {"subsampling": 0}, {"quality": 30})


def photo(seed: int, size: tuple[int, int]) -> Image.Image:
    """Stripes and noise of one pixel: what is left of them depends on how it is decoded."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (size[1], size[0], 3)) * rng.uniform(0.2, 0.9, 3)
    pixels[:, ::2] *= rng.uniform(0.2, 1)
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture(scope="module")
def ds(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("fractions") / "pictures"
    for number in range(24):
        options = dict(KINDS[number % len(KINDS)])
        exif = Image.Exif()
        exif[0x0112] = number % 8 + 1
        image = photo(number, SIZES[(number * 3 + number // 8) % len(SIZES)]).convert(options.pop("mode", "RGB"))
        save(root / ("cat", "dog")[number % 2] / f"{number:02}.jpg", image, exif=exif, **options)
    save(root / "cat" / "large.png", photo(30, (1000, 900)))
    return Dataset(root, valid_pct=0.4)


@pytest.fixture(scope="module")
def learn(ds: Dataset):
    return lively_learner(shoebox.dataloaders(ds, size_px=64, augment=False, batch_size=8))


@pytest.fixture(scope="module")
def bundle(ds: Dataset, learn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fractions") / "model"
    report = export(learn, all_asked(ds), path, examples=4, int8=True)
    assert report.same_labels == report.n == len(ds.images) and report.max_difference < 2e-5
    return path


def opened(ds: Dataset, dls) -> dict[str, np.ndarray]:
    return {file.relative_to(ds.root).as_posix(): np.asarray(side[number][0])
            for side in (dls.train_ds, dls.valid_ds) for number, file in enumerate(side.items)}


def test_what_a_fraction_changes_is_measured_and_told(ds, learn, tmp_path):
    report = export(learn, ds, tmp_path / "model")
    manifest, classifier = inspect(tmp_path / "model"), load_classifier(tmp_path / "model")
    asked = [ds.file(record.path) for record in ds.images if record.side == "valid"]
    large = [file for file in asked if open_image(file, least_px=448).size != open_image(file).size]
    pairs = [(classifier.raw(file)["probabilities"], classifier.raw(open_image(file))["probabilities"])
             for file in large]
    difference = max(np.abs(small - full).max() for small, full in pairs)
    same = sum(small.argmax() == full.argmax() for small, full in pairs)
    assert 2 < len(large) < len(asked) and difference > 1e-4, "else there is nothing to measure"
    assert report.fractions == Fractions(len(large), pytest.approx(difference, abs=1e-6), same)
    words = (f"{len(large)} large JPEGs decoded in full, not at a fraction as in training: probabilities differ by at "
             "most")
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text("utf-8")
    assert words in str(report) and f"Measured on {words} {difference:.2g}" in card and "in a browser too" in card
    assert manifest.parity.n == len(asked)


def test_at_most_a_hundred_are_decoded_in_full(ds, bundle):
    classifier = load_classifier(bundle)
    large = next(record for record in ds.images if record.format == "JPEG" and record.width_px == record.height_px - 4)
    found = np.tile(classifier.raw(ds.file(large.path))["probabilities"], (300, 1))
    for n, expected in ((0, None), (3, 3), (300, 100)):
        fractions = compare_with_full(classifier, [large] * n, [ds.file(large.path)] * n, found[:n])
        assert (None if fractions is None else fractions.n) == expected
    small = [replace(large, width_px=894), replace(large, format="PNG")]
    assert compare_with_full(classifier, small, [ds.file(large.path)] * 2, found[:2]) is None


def test_training_and_the_bundle_decode_to_the_same_pixels(ds, learn, bundle, monkeypatch):
    classifier = load_classifier(bundle)
    assert classifier.least_px == classifier.manifest.preprocessing.least_px == 448
    seen, answer = [], classifier._run
    monkeypatch.setattr(classifier, "_run", lambda pixels, more=(): (seen.append(pixels[0]), answer(pixels, more))[1])
    monkeypatch.setattr(classifier, "_shapes", False)
    trained, smaller = opened(ds, learn.dls), 0
    assert set(trained) == {record.path for record in ds.images}
    for record in ds.images:
        for source in (ds.file(record.path), ds.file(record.path).read_bytes()):
            classifier.predict(source)
            assert seen[-1].shape == trained[record.path].shape, record
            assert (seen[-1] == trained[record.path]).all(), record
        shorter = min(record.width_px, record.height_px)
        half = record.format == "JPEG" and shorter >= 895  # 447.5, and the side is rounded up
        assert min(trained[record.path].shape[:2]) == (-(-shorter // (4 if shorter > 1788 else 2)) if half else shorter)
        smaller += half
    assert 10 < smaller < len(ds.images)


def test_from_file_to_probability_the_learner_and_its_bundle_say_the_same(ds, learn, bundle):
    classifier = load_classifier(bundle)
    for record in ds.images:
        with learn.no_bar(), learn.no_logging():
            _, _, expected = learn.predict(ds.file(record.path))
        found = classifier.predict(ds.file(record.path)).probabilities
        assert [found[label] for label in learn.dls.vocab] == pytest.approx(expected.tolist(), abs=1e-4)
    assert check(bundle).n == 4


@pytest.mark.parametrize("wrong", [None, 200, 1000])
def test_a_bundle_that_claims_another_number_is_found_out(ds, learn, tmp_path, monkeypatch, wrong):
    """Before it is written, by the parity check that goes from the file to the probability."""
    read = _export.read_pipeline
    monkeypatch.setattr(_export, "read_pipeline", lambda learn: replace(read(learn), least_px=wrong))
    with pytest.raises(BundleError, match="does not repeat its learner"):
        export(learn, all_asked(ds), tmp_path / "model")
    assert not list(tmp_path.iterdir())


def _block(opener):
    return TransformBlock(type_tfms=opener, batch_tfms=IntToFloatTensor)


def test_an_opener_that_does_otherwise_than_it_says_is_found_out(ds, tmp_path):
    class Whole(Opener):
        def encodes(self, source: object) -> PILImage:
            return PILImage(open_image(source))  # type: ignore[arg-type]

    block = DataBlock((_block(Whole(448)), CategoryBlock), get_items=get_image_files, get_y=parent_label,
                      item_tfms=Resize(64))
    learn = lively_learner(block.dataloaders(ds.root, num_workers=0, bs=8))
    with pytest.raises(BundleError, match="does not repeat its learner"):
        export(learn, all_asked(ds), tmp_path / "model")


@pytest.mark.parametrize("opener", [ImageBlock, _block(_dataloaders.open_for_fastai),
                                    _block(_dataloaders.open_cut_off_for_fastai)],
                         ids=["PILImage.create", "open_for_fastai", "open_cut_off_for_fastai"])
def test_other_openers_decode_in_full_and_so_does_their_bundle(ds, tmp_path, opener):
    block = DataBlock((opener, CategoryBlock), get_items=get_image_files, get_y=parent_label, item_tfms=Resize(64))
    plain = replace(all_asked(ds), images=tuple(r for r in all_asked(ds).images if r.format == "PNG" or upright(ds, r)))
    report = export(lively_learner(block.dataloaders(ds.root, num_workers=0, bs=8)), plain, tmp_path / "model")
    assert report.same_labels == report.n > 2 and report.max_difference < 2e-5
    assert inspect(tmp_path / "model").preprocessing.least_px is None
    assert "every picture decoded in full" in str(inspect(tmp_path / "model"))


def upright(ds, record) -> bool:
    """fastai's own opener leaves pictures on their side."""
    with Image.open(ds.file(record.path)) as image:
        return image.getexif().get(0x0112, 1) == 1


def test_an_exported_learner_keeps_its_opener(ds, learn, tmp_path):
    learn.path = tmp_path
    learn.export("export.pkl")
    with pytest.warns(UserWarning, match="pickle"):
        again = load_learner(tmp_path / "export.pkl")
    file = ds.file(next(record.path for record in ds.images if record.width_px > 1700))
    assert np.asarray(again.dls.test_dl([file]).dataset[0][0]).shape[0] < 500
    export(again, all_asked(ds), tmp_path / "model")
    assert inspect(tmp_path / "model").preprocessing.least_px == 448


def test_inspect_and_the_card_say_it_in_words(bundle):
    words = "1/2, 1/4 or 1/8, its shorter side still at least 448 px"
    assert words in str(inspect(bundle)) and words in (bundle / "MODEL_CARD.md").read_text("utf-8")


@pytest.mark.parametrize("wrong", [0, -1, 65_536, 1.5, "448", True, [448]])
def test_a_number_that_is_none_is_refused(bundle, tmp_path, wrong):
    for file in bundle.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    edit_manifest(tmp_path, lambda values: values["preprocessing"].update(least_px=wrong))
    with pytest.raises(BundleError, match=r"preprocessing\.least_px: a whole number from 1 to 65535"):
        inspect(tmp_path)


@pytest.mark.parametrize(("item_tfms", "least_px"), [
    (Resize(224), 448), (Resize(64), 448), ([Resize((300, 500))], 1000), (Resize(256, "squish"), 512),
    (RandomResizedCrop(224, min_scale=0.9), 448), (RandomResizedCrop(224, min_scale=0.08), 915),
    (RandomResizedCrop(224, min_scale=0.3, ratio=(1.0, 1.0)), 448), (RandomResizedCrop(224, min_scale=0.0), None),
    ([Resize(300), CropPad(224)], None), (CropPad(300), None), (type("Own", (Resize,), {})(224), None)], ids=str)
def test_how_small_a_picture_may_get(item_tfms, least_px):
    assert least_px_for(item_tfms) == least_px


def test_the_smallest_crop_is_not_enlarged_where_that_of_the_whole_would_not_be():
    """Of pictures just large enough for a half: fastai's own crops, at their least."""
    for scale, ratio in ((0.08, (3 / 4, 4 / 3)), (0.35, (0.5, 2.0)), (0.2, (1.0, 1.5))):
        least = least_px_for(RandomResizedCrop(224, min_scale=scale, ratio=ratio))
        crop = RandomResizedCrop(224, min_scale=scale, max_scale=scale, ratio=ratio)
        for size in ((least, least), (least, 3 * least), (3 * least, least)):
            for _ in range(40):
                crop.before_call(PILImage.create(np.zeros((*size[::-1], 3), np.uint8)), 0)
                assert min(crop.cp_size) >= 223, (scale, ratio, size)


def test_in_full_when_asked(ds):
    dls = shoebox.dataloaders(ds, size_px=64, full_decode=True)
    for path, pixels in opened(ds, dls).items():
        assert (pixels == np.asarray(open_image(ds.file(path)))).all()


def test_what_is_left_of_a_truncated_jpeg_comes_at_the_fraction_too(ds):
    whole = ds.file(next(record.path for record in ds.images if record.width_px > 1700)).read_bytes()
    cut = whole[:len(whole) * 2 // 3]
    kept = Opener(448, keep_truncated=True)(cut)
    assert max(kept.size) < 500 and (np.asarray(kept) == np.asarray(
        open_image(cut, least_px=448, truncated="keep"))).all()
    with pytest.raises(ImageError, match="ends too early"):
        Opener(448)(cut)
