"""Every pixel mode a file can have becomes the right RGB: compared with pixels computed here, from the definition."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from shoebox.data import open_image

RNG = np.random.default_rng(7)
SHAPE = (37, 53)
RAMP = np.arange(65536, dtype=np.uint16).reshape(256, 256)


def opened(image, kind, **kwargs):
    out = io.BytesIO()
    image.save(out, kind, **kwargs)
    with Image.open(io.BytesIO(out.getvalue())) as stored:
        mode = stored.mode
    return mode, np.asarray(open_image(out.getvalue())).astype(int)


def noise(*channels, high=256):
    return RNG.integers(0, high, (*SHAPE, *channels)).astype(np.uint8)


def grey(values):
    return np.repeat(np.asarray(values).astype(int)[..., None], 3, axis=2)


def on_white(colour, alpha):
    """Alpha composition over 255, to the nearest whole number; a tie may fall to either side."""
    alpha = alpha[..., None].astype(float) / 255
    return colour.astype(float) * alpha + 255 * (1 - alpha)


def same(pixels, exact):
    """Each value is the nearest whole number (or, for a tie, one of the two)."""
    return np.abs(pixels - exact).max() <= 0.5 + 1e-9


def test_1():
    bits = RNG.random(SHAPE) < 0.5
    mode, pixels = opened(Image.fromarray(bits), "PNG")
    assert mode == "1" and (pixels == grey(bits * 255)).all()


def test_l():
    values = noise()
    mode, pixels = opened(Image.fromarray(values), "PNG")
    assert mode == "L" and (pixels == grey(values)).all()


def test_la():
    both = noise(2)
    mode, pixels = opened(Image.fromarray(both, "LA"), "PNG")
    assert mode == "LA" and same(pixels, on_white(grey(both[..., 0]), both[..., 1]))


def palette_image():
    index, colours = noise(high=200), RNG.integers(0, 256, (200, 3)).astype(np.uint8)
    image = Image.fromarray(index)
    image = image.convert("P") if image.mode != "L" else image
    image.putpalette(colours.tobytes())
    return image, index, colours


def test_p():
    image, index, colours = palette_image()
    mode, pixels = opened(image, "PNG")
    assert mode == "P" and (pixels == colours[index]).all()


def test_p_with_one_clear_colour_and_with_an_alpha_for_each():
    image, index, colours = palette_image()
    mode, pixels = opened(image, "PNG", transparency=17)
    assert mode == "P" and (pixels == np.where(index[..., None] == 17, 255, colours[index])).all()
    alphas = RNG.integers(0, 256, 200).astype(np.uint8)
    mode, pixels = opened(image, "PNG", transparency=alphas.tobytes())
    assert mode == "P" and same(pixels, on_white(colours[index], alphas[index]))


def test_rgb_and_rgb_with_a_clear_colour():
    values = noise(3)
    mode, pixels = opened(Image.fromarray(values), "PNG")
    assert mode == "RGB" and (pixels == values).all()
    values[3, 4] = (1, 2, 3)
    mode, pixels = opened(Image.fromarray(values), "PNG", transparency=(1, 2, 3))
    assert mode == "RGB" and tuple(pixels[3, 4]) == (255, 255, 255) and (pixels[:3] == values[:3]).all()


def test_rgba_for_every_value_and_every_alpha():
    value, alpha = np.meshgrid(np.arange(256), np.arange(256))
    image = np.stack([value, 255 - value, value // 2, alpha], axis=2).astype(np.uint8)
    mode, pixels = opened(Image.fromarray(image), "PNG")
    assert mode == "RGBA" and same(pixels, on_white(image[..., :3], image[..., 3]))


def test_cmyk():
    ink = noise(4)
    mode, pixels = opened(Image.fromarray(ink, "CMYK"), "TIFF")
    paper = 255.0 - ink
    assert mode == "CMYK" and np.abs(pixels - paper[..., :3] * paper[..., 3:] / 255).max() <= 1


def test_ycbcr():
    values = noise(3)
    mode, pixels = opened(Image.fromarray(values, "YCbCr"), "TIFF")
    y, cb, cr = (values[..., i].astype(float) - (0 if i == 0 else 128) for i in range(3))
    exact = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=2)  # JFIF 1.02
    assert mode == "YCbCr" and np.abs(pixels - np.clip(exact, 0, 255)).max() <= 1


def srgb_of_lab(lab):
    """CIE Lab with white D50 to sRGB (CIE 15; matrix of XYZ D50 to linear sRGB by Lindbloom; IEC 61966-2-1)."""
    high = (lab[..., 0] + 16) / 116
    f = np.stack([high + lab[..., 1] / 500, high, high - lab[..., 2] / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * [0.96422, 1.0, 0.82521]
    linear = xyz @ np.array([[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540],
                             [0.0719453, -0.2289914, 1.4052427]]).T
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def test_lab():
    stored = np.stack([RNG.integers(100, 200, SHAPE), RNG.integers(-15, 15, SHAPE), RNG.integers(-15, 15, SHAPE)], 2)
    mode, pixels = opened(Image.fromarray(stored.astype(np.int8).view(np.uint8), "LAB"), "TIFF")
    exact = srgb_of_lab(stored * [100 / 255, 1, 1])
    difference = np.abs(pixels - exact)
    assert mode == "LAB" and difference.max() <= 3 and difference.mean() <= 0.7  # littlecms interpolates in a table


@pytest.mark.parametrize(("kind", "order"), [("PNG", "<u2"), ("TIFF", "<u2"), ("TIFF", ">u2")])
def test_sixteen_bits_in_both_byte_orders(kind, order):
    if order == ">u2":
        data = big_endian_tiff(RAMP)
        with Image.open(io.BytesIO(data)) as stored:
            assert stored.mode == "I;16B"
        pixels = np.asarray(open_image(data)).astype(int)
    else:
        mode, pixels = opened(Image.fromarray(RAMP), kind)
        assert mode == "I;16"
    assert (pixels == grey(RAMP // 257)).all()


def big_endian_tiff(values):
    import struct

    data = values.astype(">u2").tobytes()
    height, width = values.shape
    tags = [(256, width), (257, height), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1), (278, height),
            (279, len(data))]
    entries = b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags)
    return b"MM\0*" + struct.pack(">I", 8 + len(data)) + data + struct.pack(">H", len(tags)) + entries + bytes(4)


def test_i():
    values = RAMP.astype(np.int32)
    mode, pixels = opened(Image.fromarray(values), "TIFF")
    assert mode == "I" and (pixels == grey(RAMP // 257)).all()
    mode, pixels = opened(Image.fromarray(noise().astype(np.int32)), "TIFF")
    assert pixels.max() > 200  # 32 bits of which eight are used are no black picture
    outside = np.full(SHAPE, -5, np.int32)
    outside[0, 0] = 2**31 - 1
    _, pixels = opened(Image.fromarray(outside), "TIFF")
    assert tuple(pixels[0, 0]) == (255, 255, 255) and pixels.sum() == 3 * 255


def test_f():
    values = np.linspace(0, 1, SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(SHAPE)
    mode, pixels = opened(Image.fromarray(values), "TIFF")
    assert mode == "F" and np.abs(pixels - values.astype(float)[..., None] * 255).max() <= 0.5 + 1e-4
    _, pixels = opened(Image.fromarray(values * 255), "TIFF")
    assert np.abs(pixels - np.repeat(values[..., None].astype(float) * 255, 3, axis=2)).max() <= 0.5 + 1e-4
    values[0, :3] = (np.nan, np.inf, -np.inf)
    _, pixels = opened(Image.fromarray(values), "TIFF")
    assert pixels[0, :3].sum() == 0 and pixels.max() == 255


def test_no_result_carries_metadata_that_would_be_obeyed_again():
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.fromarray(noise(3)).save(out, "JPEG", exif=exif)
    once = open_image(out.getvalue())
    assert once.size == (37, 53) and not once.info
    assert open_image(once).tobytes() == once.tobytes()


def test_what_is_passed_in_stays_as_it_was():
    for mode in ("RGB", "RGBA", "LA", "L", "I", "F"):
        image = Image.new(mode, (20, 10), 1)
        image.info["comment"] = "mine"
        before = image.tobytes()
        result = open_image(image)
        result.paste("red", (0, 0, 20, 10))
        assert image.tobytes() == before and image.info == {"comment": "mine"} and image.mode == mode
