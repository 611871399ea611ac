"""The image door: what it opens, what it refuses and why, and that the pixels are right."""

from __future__ import annotations

import contextlib
import io
import os

import numpy as np
import pytest
from PIL import Image

from shoebox.data import check_image, decode_image, open_image, read_bytes
from shoebox.errors import ImageError
from tests._hostile import PROGRESSIVE, broken, cut
from tests._mutants import mutants
from tests._pictures import draw, save


def encoded(image, kind, **kwargs):
    out = io.BytesIO()
    image.save(out, kind, **kwargs)
    return out.getvalue()


JPEG = encoded(draw(1), "JPEG", quality=90)
PNG = encoded(draw(1), "PNG")


def cause_of(data, **kwargs):
    with pytest.raises(ImageError) as caught:
        decode_image(data, name="holiday.jpg", **kwargs)
    assert "'holiday.jpg'" in str(caught.value) and str(caught.value).endswith(".")
    return caught.value.cause


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_opens_every_format_on_the_list(kind):
    decoded = decode_image(encoded(draw(2), kind))
    assert (decoded.width_px, decoded.height_px) == (64, 48) and decoded.image.mode == "RGB"
    assert decoded.format == kind


@pytest.mark.parametrize(("data", "cause"), [
    (b"", "empty"),
    (b"hello, I am text\n" * 10, "not_an_image"),
    (b"<html><body>404</body></html>", "not_an_image"),
    (b"%PDF-1.7 ...", "unsupported_format"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n", "unsupported_format"),
    (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_format"),
    (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "damaged"),
    (JPEG[:-1], "truncated"),
    (JPEG[: len(JPEG) // 2], "truncated"),
    (PNG[: len(PNG) // 2], "truncated"),
    (PNG[:60] + bytes(40) + PNG[100:], "damaged"),
    (JPEG[:2] + b"\xff\xda\x00\x00" * 101 + JPEG[2:], "too_many_scans"),
])
def test_refuses_by_named_cause(data, cause):
    assert cause_of(data) == cause


def test_a_wrong_name_does_not_matter_and_a_rare_format_is_not_entered(tmp_path):
    path = tmp_path / "really-a-png.jpg"
    path.write_bytes(PNG)
    assert open_image(path).size == (64, 48)
    assert cause_of(encoded(draw(1), "PPM")) == "not_an_image"


def test_limits_are_checked_before_decoding():
    assert cause_of(JPEG, max_bytes=100) == "too_many_bytes"
    assert cause_of(PNG, max_pixels=64 * 48 - 1) == "too_many_pixels"
    bomb = encoded(Image.new("1", (20_000, 20_000)), "PNG")
    assert len(bomb) < 100_000 and cause_of(bomb) == "too_many_pixels"


def test_a_large_baseline_jpeg_is_read_smaller():
    decoded = decode_image(encoded(draw(3, (400, 300)), "JPEG"), max_pixels=50_000)
    assert decoded.image.size == (200, 150) and (decoded.width_px, decoded.height_px) == (400, 300)


@pytest.mark.parametrize(("size", "least_px", "seen"), [
    ((800, 600), 601, (800, 600)), ((800, 600), 600, (800, 600)), ((800, 600), 300, (400, 300)),
    ((800, 600), 301, (800, 600)), ((801, 601), 301, (401, 301)), ((600, 800), 150, (150, 200)),
    ((800, 600), 75, (100, 75)), ((800, 600), 1, (100, 75)), ((90, 2), 1, (45, 1)), ((800, 600), 65_535, (800, 600))])
def test_a_jpeg_is_decoded_no_smaller_than_asked(size, least_px, seen):
    for mode, options in (("RGB", {}), ("L", {}), ("CMYK", {}), ("RGB", {"progressive": True})):
        data = encoded(draw(5, size).convert(mode), "JPEG", **options)
        decoded = decode_image(data, least_px=least_px)
        assert decoded.image.size == seen and (decoded.width_px, decoded.height_px) == size
        assert decoded.image.mode == "RGB"
        if seen == size:
            assert decoded.image.tobytes() == decode_image(data).image.tobytes()


def test_only_what_is_decoded_is_decoded_smaller():
    image = draw(5, (800, 600))
    for kind in ("PNG", "WEBP", "TIFF", "BMP"):
        assert open_image(encoded(image, kind), least_px=10).size == (800, 600), kind
    assert open_image(image, least_px=10).size == open_image(np.asarray(image), least_px=10).size == (800, 600)
    with Image.open(io.BytesIO(encoded(image, "JPEG"))) as lazy:
        assert open_image(lazy, least_px=10).size == (800, 600)


def test_a_fraction_changes_no_limit_and_no_cause():
    large = encoded(draw(3, (400, 300)), "JPEG")
    assert open_image(large, least_px=10).size == (50, 38)
    assert decode_image(large, max_pixels=50_000, least_px=300).image.size == (200, 150)
    assert cause_of(large, max_pixels=1000, least_px=10) == cause_of(large, max_pixels=1000) == "too_many_pixels"
    for end in (len(large) // 2, 300):
        assert cause_of(large[:end], least_px=10) == cause_of(large[:end]) == "truncated"
    assert decode_image(large[:len(large) // 2], least_px=10, truncated="keep").partly_there


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "448", True])
def test_a_least_side_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="whole number from 1"):
        decode_image(JPEG, least_px=wrong)
    with pytest.raises(ValueError, match="whole number from 1"):
        open_image(Image.new("RGB", (8, 8)), least_px=wrong)
    with pytest.raises(ValueError, match="give one of them"):
        decode_image(JPEG, side_px=10, least_px=10)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_photos_upright(orientation):
    upright = Image.new("RGB", (64, 48), "blue")
    upright.paste("red", (0, 0, 16, 16))  # top left
    back = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270}
    stored = upright.transpose(back[orientation]) if orientation in back else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened = open_image(encoded(stored, "JPEG", exif=exif, quality=95))
    assert opened.size == (64, 48)
    assert opened.getpixel((5, 5))[0] > 200 and opened.getpixel((60, 44))[2] > 200


def test_modes_become_the_right_rgb():
    ramp = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
    sixteen = open_image(encoded(Image.fromarray(ramp), "PNG"))
    assert abs(np.asarray(sixteen)[..., 0].astype(int) - ramp // 257).max() == 0
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert open_image(encoded(clear, "PNG")).getpixel((0, 0)) == (255, 255, 255)
    half = open_image(encoded(Image.new("LA", (8, 8), (0, 128)), "PNG"))
    assert half.getpixel((0, 0)) == (127, 127, 127)
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    assert open_image(encoded(palette, "PNG")).getpixel((0, 0)) == (10, 200, 30)
    assert open_image(encoded(palette, "PNG", transparency=1)).getpixel((0, 0)) == (255, 255, 255)
    assert open_image(encoded(Image.new("CMYK", (8, 8)), "JPEG")).getpixel((0, 0)) == (255, 255, 255)
    floats = Image.fromarray(np.full((8, 8), 0.5, np.float32))
    assert open_image(encoded(floats, "TIFF")).getpixel((0, 0)) == (128, 128, 128)


def test_takes_bytes_paths_pictures_and_arrays_alike(tmp_path):
    path = save(tmp_path / "a.png", draw(4))
    pixels = np.asarray(draw(4))
    for source in (path, str(path), path.read_bytes(), memoryview(path.read_bytes()), draw(4), pixels):
        assert (np.asarray(open_image(source)) == pixels).all()
    for wrong in (pixels.astype(float), pixels[..., :2], 7):
        with pytest.raises(ImageError, match="expected"):
            open_image(wrong)


def test_missing_files_and_folders_have_a_sentence(tmp_path):
    for path in (tmp_path / "nothing.jpg", tmp_path, "nul\0byte.jpg"):
        with pytest.raises(ImageError) as caught:
            open_image(path)
        assert caught.value.cause == "missing"


def test_forbidden_files_have_a_sentence(tmp_path):
    path = save(tmp_path / "secret.jpg", draw(5))
    path.chmod(0)
    with as_ordinary_user(), pytest.raises(ImageError, match="permissions"):
        open_image(path)


@contextlib.contextmanager
def as_ordinary_user():
    """Root may read everything, so a test run by root steps down for a moment."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)


def answer_of(look, data):
    try:
        return look(data, name="holiday.jpg")
    except ImageError as error:
        return error.cause, str(error)


def test_a_check_without_a_picture_answers_as_opening_does():
    def whole(data, name):
        decoded = decode_image(data, name=name)
        return decoded.format, decoded.width_px, decoded.height_px

    files = [encoded(draw(2), kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")]
    files += [PROGRESSIVE, encoded(draw(3).convert("L"), "JPEG"), encoded(draw(3).convert("CMYK"), "JPEG"), b""]
    files += [case.data for part in (broken, cut) for case in part()] + list(mutants(400))
    answers = [answer_of(check_image, data) for data in files]
    assert answers == [answer_of(whole, data) for data in files]
    assert 60 < sum(len(answer) == 3 for answer in answers) < len(files) - 100


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_before_it_is_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError, match="is not a file"):
        read_bytes(tmp_path / "pipe.jpg")
