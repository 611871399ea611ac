"""Near-duplicates, their groups, and the split that follows them."""

from __future__ import annotations

import io
import random
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from shoebox.data import Dataset, open_image
from shoebox.data._groups import alike, components, near_pairs
from shoebox.data._measure import looks, measure
from tests._pictures import draw, folders, save

TRANSFORMS = {
    "jpeg quality 30": lambda image: image,  # encoded with it below
    "half size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "squash": lambda image: image.resize((image.width, image.height * 7 // 10)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "mirror": ImageOps.mirror,
}


def photos(n=36):
    """Crops of scikit-learn's two photographs."""
    from sklearn.datasets import load_sample_image

    crops = []
    for name in ("china.jpg", "flower.jpg"):
        image = Image.fromarray(load_sample_image(name))
        for number in range(n):
            rng = random.Random(number)
            width, height = rng.choice([(240, 180), (180, 240), (200, 200)])
            x, y = rng.randrange(image.width - width), rng.randrange(image.height - height)
            crops.append(image.crop((x, y, x + width, y + height)))
    return crops


def encode(image, quality=90):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def found(one, other):
    a, b = looks(one), looks(other)
    near = near_pairs([a.phash, b.phash], [a.phash_mirrored, b.phash_mirrored])
    return bool(near) and alike(a.signature, b.signature)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_changed_copies_are_found(name):
    quality = 30 if "30" in name else 90
    hits = [found(crop, open_image(encode(TRANSFORMS[name](crop), quality))) for crop in photos()]
    assert np.mean(hits) >= 0.96


def test_different_photos_and_different_digits_are_not_confused():
    from sklearn.datasets import load_digits

    crops = photos()
    assert not any(found(a, b) for i, a in enumerate(crops) for b in crops[:i])
    digits = [Image.fromarray((245 - scan * 13).astype(np.uint8)).resize((96, 96)).convert("RGB")
              for scan in load_digits().images[:600]]
    seen = [looks(digit) for digit in digits]
    hashed = near_pairs([s.phash for s in seen], [s.phash_mirrored for s in seen])
    assert len(hashed) > 20, "hashes alone confuse them"
    assert not [pair for pair in hashed if alike(seen[pair[0]].signature, seen[pair[1]].signature)]


def test_the_search_is_exact():
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 2**64, 800, dtype=np.uint64)
    for number in range(60):
        flips = rng.choice(64, int(rng.integers(0, 10)), replace=False)
        bits[number + 100] = bits[number] ^ np.uint64(sum(1 << int(b) for b in flips))
    mirrored = np.roll(bits, 7) ^ np.uint64(5)
    a, b = ([f"{x:016x}" for x in values] for values in (bits, mirrored))
    straight = np.bitwise_count(bits[:, None] ^ bits[None])
    across = np.bitwise_count(bits[:, None] ^ mirrored[None])
    near = (straight <= 6) | (across <= 6) | (across.T <= 6)
    expected = [(i, j) for i in range(800) for j in range(i + 1, 800) if near[i, j]]
    assert near_pairs(a, b) == expected and len(expected) > 30
    assert near_pairs(a, b, since=150) == [pair for pair in expected if pair[1] >= 150]
    assert near_pairs(["", ""], ["", ""]) == [], "pictures of one colour have no neighbours"
    assert components(5, [(3, 4), (1, 3)]).tolist() == [0, 1, 2, 1, 1]


def test_measures_point_the_right_way():
    crop = photos(1)[0]
    plain, dark = measure(crop), measure(ImageEnhance.Brightness(crop).enhance(0.1))
    blurred = measure(crop.resize((12, 9)).resize(crop.size))
    assert dark.dark < 0.32 < plain.dark and blurred.sharpness < plain.sharpness
    empty = measure(Image.new("RGB", (64, 64), "white"))
    assert empty.information == 0 and empty.light > 0.95 and not looks(Image.new("RGB", (64, 64))).phash


def test_near_duplicates_stand_on_one_side(tmp_path):
    for number, crop in enumerate(photos()):
        save(tmp_path / "a" / f"{number}.jpg", crop, quality=90)
        save(tmp_path / "b" / f"{number}-copy.jpg", ImageOps.mirror(crop), quality=40)
    ds = Dataset(tmp_path)
    groups = {}
    for record in ds.images:
        groups.setdefault(record.group_id, []).append(record)
    together = [g for g in groups.values() if len(g) == 2]
    assert len(together) >= 0.96 * 72 and {len(g) for g in groups.values()} <= {1, 2}
    assert all(len({record.side for record in g}) == 1 for g in groups.values())
    assert {record.side for record in ds.images} == {"train", "valid"}


def test_removing_the_member_that_names_a_group_changes_nothing(tmp_path):
    crop = photos(1)[0]
    for number in range(4):
        save(tmp_path / "a" / f"{number}.jpg", crop, quality=90 - number * 10)
    ds = Dataset(tmp_path)
    group = ds.images[0].group_id
    assert {r.group_id for r in ds.images} == {group} == {min(r.image_id for r in ds.images)}
    side = ds.images[0].side
    ds.file(next(r.path for r in ds.images if r.image_id == group)).unlink()
    save(tmp_path / "a" / "5.jpg", crop, quality=35)
    after = Dataset(tmp_path)
    assert {(r.group_id, r.side) for r in after.images} == {(group, side)} and len(after.images) == 4


def test_a_picture_that_links_both_sides_makes_them_training_pictures(tmp_path):
    """Found by trying seeds: a, b near c, but not near each other; a and b on different sides."""
    def mix(share):
        one, other = photos(1)
        other = other.resize(one.size)
        return Image.blend(one, other, share)

    # walk from one picture to another in steps; neighbours are near, the ends are not
    shares = [0.0, 0.04, 0.08, 0.12, 0.16, 0.2]
    ends, middle = (shares[0], shares[-1]), shares[1:-1]
    assert not found(mix(ends[0]), mix(ends[1]))
    for seed in range(60):
        root = tmp_path / str(seed)
        for number, share in enumerate(ends):
            save(root / "a" / f"end-{number}.png", mix(share))
        ds = Dataset(root, seed=seed, valid_pct=0.5)
        if len({r.side for r in ds.images}) == 2:
            break
    for number, share in enumerate(middle):
        save(root / "a" / f"middle-{number}.png", mix(share))
    report = ds.scan()
    assert {r.side for r in ds.images} == {"train"} and len({r.group_id for r in ds.images}) == 1
    assert any("both sides of the split" in warning for warning in report.warnings)


def test_an_interrupted_scan_is_gone_on_with(tmp_path, monkeypatch):
    import shoebox.data._scan as scan

    root = folders(tmp_path / "p", {"a": 12, "b": 12})
    monkeypatch.setattr(scan, "_BATCH", 5)

    def stop(done, total):
        if done >= 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Dataset(root, progress=stop)
    read = []
    monkeypatch.setattr(scan, "read_bytes", lambda file, **_: read.append(file) or Path(file).read_bytes())
    ds = Dataset(root)
    assert len(ds.images) == 24 and len(read) == 14 and all(r.group_id for r in ds.images)
    whole = Dataset(folders(tmp_path / "q", {"a": 12, "b": 12}))
    assert {r.path: r.side for r in ds.images} == {r.path: r.side for r in whole.images}


def test_a_deep_scan_notices_what_size_and_time_do_not_tell(tmp_path):
    import os

    ds = Dataset(folders(tmp_path / "p", {"a": 3, "b": 3}))
    file = ds.file("a/picture-000.jpg")
    status, data = file.stat(), bytearray(file.read_bytes())
    data[-30] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert ds.scan().changed == 0 and ds.scan(deep=True).changed == 1


def test_a_sealed_test_share(tmp_path):
    ds = Dataset(folders(tmp_path / "p", {"a": 60, "b": 60}), test_pct=0.2)
    counts = {side: sum(n[side] for n in ds.counts().values()) for side in ("train", "valid", "test")}
    assert min(counts.values()) > 8 and counts["train"] > counts["valid"]
    plain = Dataset(folders(tmp_path / "q", {"a": 60, "b": 60}))
    valid = {r.image_id for r in ds.images if r.side == "valid"}
    assert valid == {r.image_id for r in plain.images if r.side == "valid"}, "the test share comes out of training"


def test_a_train_valid_layout_is_honoured_and_leaks_are_reported(tmp_path):
    folders(tmp_path / "train", {"a": 5, "b": 5})
    save(tmp_path / "valid" / "a" / "other.jpg", photos(1)[0])
    save(tmp_path / "valid" / "b" / "leak.jpg", open_image(tmp_path / "train" / "b" / "picture-000.jpg"), quality=80)
    ds = Dataset(tmp_path)
    assert ds.classes == ("a", "b")
    assert {r.path.split("/")[0]: r.side for r in ds.images} == {"train": "train", "valid": "valid"}
    assert any("flatters the accuracy" in w and "leak.jpg" in w for w in ds.report.warnings)
    ds.decide("valid/a/other.jpg", "relabel", "b")
    assert ds.plan().moves[0].target == "valid/b/other.jpg"
    ds.apply()
    assert ds.record("valid/b/other.jpg").side == "valid" and ds.record("valid/b/other.jpg").label == "b"


def test_thirty_changes_move_no_other_picture(tmp_path):
    root = folders(tmp_path / "p", {"a": 150, "b": 150, "c": 150}, size=(24, 18))
    before = {r.image_id: r.side for r in Dataset(root).images}
    files = random.Random(4).sample(sorted(root.glob("*/*.jpg")), 90)
    for file in files[:30]:
        file.unlink()
    for file in files[30:60]:
        file.rename(file.with_name("renamed-" + file.name))
    for number, file in enumerate(files[60:]):
        file.rename(root / "a" / f"relabelled-{number}.jpg")
    ds = Dataset(root)
    assert len(ds.images) == len(before) - 30 and all(before[r.image_id] == r.side for r in ds.images)


def test_the_split_report_names_the_class_without_validation(tmp_path):
    folders(tmp_path / "train", {"<b>a": 3, "b": 2})
    save(tmp_path / "valid" / "b" / "one.jpg", draw(900))
    report = Dataset(tmp_path).split_report()
    assert report.counts == {"<b>a": {"train": 3, "valid": 0}, "b": {"train": 2, "valid": 1}}
    assert report.without_validation == ("<b>a",) and report.without_training == ()
    assert "no validation picture" in str(report) and str(report).splitlines()[2].split() == ["b", "2", "1"]
    assert "<b>" not in report._repr_html_() and "no validation picture" in report._repr_html_()
    (tmp_path / "empty").mkdir()
    assert Dataset(tmp_path / "empty").split_report().counts == {}


def test_the_same_picture_under_two_labels_comes_first(tmp_path):
    one, two, three = photos()[:3]
    for name in ("a/1.jpg", "b/1.jpg"):
        save(tmp_path / name, one, quality=90)
    for name, quality in (("a/2.jpg", 90), ("a/2-again.jpg", 50), ("a/2-more.jpg", 70)):
        save(tmp_path / name, two, quality=quality)
    save(tmp_path / "b" / "3.jpg", three)
    ds = Dataset(tmp_path)
    conflict, copies = ds.duplicates()
    assert conflict.paths == ("a/1.jpg", "b/1.jpg") and conflict.labels == ("a", "b") and conflict.exact
    assert len(copies.paths) == 3 and copies.labels == ("a",) and not copies.exact
    assert any("under more than one label" in warning and "b/1.jpg" in warning for warning in ds.report.warnings)


def test_a_broken_store_of_thumbnails_is_drawn_anew(tmp_path):
    root = folders(tmp_path / "p", {"a": 3, "b": 3})
    ds = Dataset(root)
    store = root / ".shoebox" / "thumbnails.sqlite"
    paths = [record.path for record in ds.images]
    before = ds.thumbnails(paths)
    assert all(data.startswith(b"\xff\xd8") for data in before.values())
    store.write_bytes(b"no database at all" * 400)
    assert ds.thumbnails(paths).keys() == before.keys()
    assert ds.thumbnails(paths) == ds.thumbnails(paths) and store.read_bytes().startswith(b"SQLite")
    store.unlink()
    store.mkdir()
    assert ds.thumbnail(paths[0]).startswith(b"\xff\xd8")


def test_what_is_deleted_for_ever_leaves_no_thumbnail(tmp_path):
    ds = Dataset(folders(tmp_path / "p", {"a": 3, "b": 3}))
    gone = ds.images[0]
    ds.decide(gone.path, "remove")
    ds.apply()
    ds.empty_trash(confirm=1)
    with sqlite3.connect(ds.root / ".shoebox" / "thumbnails.sqlite") as db:
        kept = {row[0] for row in db.execute("SELECT image_id FROM thumbnails")}
    db.close()
    assert gone.image_id not in kept and {record.image_id for record in ds.images} == kept


def test_many_copies_are_compared_once_each(monkeypatch):
    import shoebox.data._split as split

    asked = []
    monkeypatch.setattr(split, "alike", lambda one, other: asked.append(1) or alike(one, other))
    seen = looks(photos(1)[0])
    copies = [split.Seen(f"{n:064x}", "", seen.phash, seen.phash_mirrored, seen.signature) for n in range(300)]
    assert set(split.group_new(copies).new.values()) == {copies[0].image_id}
    assert len(asked) < 300
