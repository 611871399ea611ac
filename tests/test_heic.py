"""HEIC through pillow-heif: right pixels, turned once, and a sentence where the library is missing."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from shoebox.data import Dataset, decode_image, open_image
from shoebox.errors import ImageError
from tests._pictures import draw, folders


def heic(image, **kwargs):
    out = io.BytesIO()
    pillow_heif.from_pillow(image).save(out, **kwargs)
    return out.getvalue()


def test_a_heic_photo_has_the_pixels_it_was_made_of():
    photo = draw(1, (120, 90))
    decoded = decode_image(heic(photo, quality=-1, chroma=444))
    assert decoded.format == "HEIF" and (decoded.width_px, decoded.height_px) == (120, 90)
    difference = np.asarray(decoded.image).astype(int) - np.asarray(photo)
    assert np.abs(difference).max() <= 3  # RGB to YCbCr and back rounds


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_is_obeyed_once(orientation):
    """pillow-heif writes the EXIF orientation as a turn of the container; its reader turns, and EXIF says 1 then."""
    upright = Image.new("RGB", (64, 48), "blue")
    upright.paste("red", (0, 0, 16, 16))
    back = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270}
    stored = upright.transpose(back[orientation]) if orientation in back else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened = open_image(heic(stored, exif=exif.tobytes(), quality=95))
    assert opened.size == (64, 48)
    assert opened.getpixel((5, 5))[0] > 200 and opened.getpixel((60, 44))[2] > 200
    assert open_image(opened).tobytes() == opened.tobytes()


def test_transparent_grey_and_sixteen_bit_heics():
    assert open_image(heic(Image.new("RGBA", (64, 64), (255, 0, 0, 0)))).getpixel((9, 9)) == (255, 255, 255)
    assert open_image(heic(Image.new("L", (64, 64), 90), quality=-1)).getpixel((9, 9)) == (90, 90, 90)
    deep = pillow_heif.from_bytes("RGB;16", (64, 64), np.full((64, 64, 3), 32768, np.uint16).tobytes())
    out = io.BytesIO()
    deep.save(out, quality=-1)
    assert abs(open_image(out.getvalue()).getpixel((9, 9))[0] - 128) <= 1


def test_damaged_and_oversized_heics_are_refused():
    data = heic(draw(2, (200, 150)))
    for cut, cause in ((len(data) - 1, "truncated"), (len(data) // 2, "truncated"), (30, "truncated")):
        with pytest.raises(ImageError) as caught:
            decode_image(data[:cut])
        assert caught.value.cause == cause, cut
    with pytest.raises(ImageError) as caught:
        decode_image(data, max_pixels=200 * 150 - 1)
    assert caught.value.cause == "too_many_pixels"


def test_a_data_set_takes_heic(tmp_path):
    root = folders(tmp_path, {"cat": 2})
    (root / "cat" / "phone.heic").write_bytes(heic(draw(7)))
    ds = Dataset(root)
    assert ds.record("cat/phone.heic").format == "HEIF" and not ds.report.skipped


WITHOUT = """
import sys
sys.modules["pillow_heif"] = None  # as if it were not installed
from shoebox.data import decode_image
from shoebox.errors import ImageError
try:
    decode_image(open(sys.argv[1], "rb").read(), name="phone.heic")
except ImageError as error:
    print(error.cause, "|", error)
"""


def test_without_the_library_a_sentence_names_the_install_line(tmp_path):
    (tmp_path / "phone.heic").write_bytes(heic(draw(3)))
    done = subprocess.run([sys.executable, "-c", WITHOUT, str(tmp_path / "phone.heic")], capture_output=True, text=True,
                          check=True)
    cause, sentence = done.stdout.strip().split(" | ")
    assert cause == "unsupported_format"
    assert "'phone.heic'" in sentence and 'pip install "shoebox[heic]"' in sentence


def test_the_library_is_loaded_for_a_heic_only_and_leaves_pillow_as_it_was(tmp_path):
    (tmp_path / "a.heic").write_bytes(heic(draw(3)))
    draw(4).save(tmp_path / "a.jpg")
    code = ("import sys; from shoebox.data import open_image; from PIL import Image\n"
            "open_image(sys.argv[1] + '/a.jpg'); assert 'pillow_heif' not in sys.modules\n"
            "open_image(sys.argv[1] + '/a.heic'); assert 'pillow_heif' in sys.modules\n"
            "Image.init(); assert 'HEIF' not in Image.OPEN\n")
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
