"""Files made to hurt whoever opens them: bombs, liars, cut and broken files, rare formats, two files in one.

`corpus()` yields a `Case` each: what it is, its bytes, and the one right outcome, a named cause or the picture's size.
Nothing here lies in the repository as bytes; all is made by this code, much of it by hand, since no encoder writes it.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, PngImagePlugin

from tests._pictures import draw


@dataclass(frozen=True)
class Case:
    """One file; `expected` is a cause, or the (width, height) that opens. `bomb` marks those of the strict limits."""

    name: str
    data: bytes
    expected: str | tuple[int, int]
    bomb: bool = False


def corpus() -> Iterator[Case]:
    """All of them; some take a second to make."""
    for part in (bombs, scan_bombs, floods, near_the_limit, liars, broken, cut, rare_formats, two_in_one,
                 odd_but_right):
        yield from part()


def encoded(image: Image.Image, kind: str, **kwargs: object) -> bytes:
    """The bytes of a file."""
    out = io.BytesIO()
    image.save(out, kind, **kwargs)  # type: ignore[arg-type]
    return out.getvalue()


def chunk(name: bytes, data: bytes, crc: int | None = None) -> bytes:
    """A PNG chunk, with its checksum or a wrong one."""
    crc = zlib.crc32(name + data) if crc is None else crc
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)


def png(width: int, height: int, bits: int = 1, colour: int = 0, *, extra: bytes = b"",
        idat: bytes | None = None) -> bytes:
    """A PNG of zeros, written row by row, so that a large one takes no memory to make."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    if idat is None:
        packer, row = zlib.compressobj(9), bytes(1 + -(-width * bits * channels // 8))
        block = max(1, (1 << 20) // len(row))
        parts = [packer.compress(row * min(block, height - top)) for top in range(0, height, block)]
        idat = b"".join([*parts, packer.flush()])
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", idat) + chunk(b"IEND", b""))


def gif(width: int, height: int, frame: tuple[int, int, int, int] = (0, 0, 1, 1)) -> bytes:
    """A GIF of 35 bytes: the screen of any size, and a first frame of one pixel or whatever it says."""
    return (b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
            + b"," + struct.pack("<HHHHB", *frame, 0) + b"\x02\x02\x44\x01\0;")


def webp(width: int, height: int) -> bytes:
    """The header of a lossless WebP, 34 bytes in all; its size is what the door goes by."""
    bits = (width - 1) | (height - 1) << 14
    body = b"\x2f" + struct.pack("<I", bits) + b"\x00\x88\x88\x08\x00\x00\x00\x00\x00"
    return b"RIFF" + struct.pack("<I", 4 + 8 + len(body)) + b"WEBPVP8L" + struct.pack("<I", len(body)) + body


def tiff(width: int, height: int, *, strip_bytes: int, data: bytes = bytes(64), bits: int = 8, compression: int = 1,
         rows_per_strip: int | None = None) -> bytes:
    """A grey TIFF with one strip that says what it likes of its size."""
    entries = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, compression), (262, 3, 1), (273, 4, 8),
               (277, 3, 1), (278, 4, rows_per_strip or height), (279, 4, strip_bytes)]
    ifd = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", tag, kind, 1, value)
                                                     for tag, kind, value in entries) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + ifd


def bmp(width: int, height: int, *, bits: int = 24, compression: int = 0, data: bytes = b"", offset: int = 54) -> bytes:
    """A BMP whose header says what it likes."""
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(data), 0, 0, offset) + head + data


def jpeg_size(data: bytes, width: int, height: int) -> bytes:
    """The same JPEG with another size in its header."""
    at = next(data.index(bytes((0xFF, code))) for code in (0xC0, 0xC2) if bytes((0xFF, code, 0, 17)) in data
              or bytes((0xFF, code, 0, 11)) in data)
    return data[:at + 5] + struct.pack(">HH", height, width) + data[at + 9:]


def with_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG with the last, nearly empty, scan repeated."""
    data = encoded(Image.new("L", (side, side), 128), "JPEG", progressive=True, quality=30)
    last = data.rindex(b"\xff\xda")
    tables = data.rindex(b"\xff\xc4", 0, last)
    return data[:-2] + data[tables:-2] * scans + b"\xff\xd9"


JPEG = encoded(draw(1), "JPEG", quality=90)
PROGRESSIVE = encoded(draw(1), "JPEG", quality=90, progressive=True)
PNG = encoded(draw(1), "PNG")
SIZE = (64, 48)


def bombs() -> Iterator[Case]:
    """A few bytes that claim hundreds of millions of pixels."""
    avif = encoded(Image.new("L", (13_000, 13_000)), "AVIF", speed=10, quality=20)
    for name, data in {
        "WebP of 34 bytes, 16383 x 10000": webp(16383, 10_000),
        "WebP of 34 bytes, 16383 x 16383": webp(16383, 16383),
        "GIF of 35 bytes, 13000 x 13000": gif(13_000, 13_000),
        "GIF of 35 bytes, 65535 x 65535": gif(65535, 65535),
        "GIF whose frame is larger than its screen": gif(1, 1, (0, 0, 65535, 65535)),
        "PNG of one bit, 178 megapixels": png(13_300, 13_400),
        "PNG of one bit, 88 megapixels": png(9_400, 9_400),
        "PNG grey, 144 megapixels": png(12_000, 12_000, 8),
        "PNG 65535 x 65535 without pixels": png(65535, 65535, idat=zlib.compress(b"\0")),
        "PNG of 16-bit RGBA, 100 megapixels": png(10_000, 10_000, 16, 6, idat=zlib.compress(bytes(100_000))),
        "AVIF, 169 megapixels": avif,
        "TIFF 60000 x 60000 with 64 bytes": tiff(60_000, 60_000, strip_bytes=64),
        "TIFF with a strip of 4 GB": tiff(20_000, 20_000, strip_bytes=2**32 - 1),
        "BMP 30000 x 30000, run-length coded": bmp(30_000, 30_000, bits=8, compression=1, data=bytes(1024) + b"\0\1"),
        "WebP canvas of 2^24 pixels a side": b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10)
        + bytes(4) + b"\xff" * 6,
    }.items():
        yield Case(name, data, "too_many_pixels", bomb=True)
    yield Case("progressive JPEG header of 65000 x 65000", jpeg_size(PROGRESSIVE, 65_000, 65_000), "too_many_pixels",
               bomb=True)


def scan_bombs() -> Iterator[Case]:
    """Progressive JPEGs of thousands of scans."""
    yield Case("JPEG of 16 megapixels with 2,000 scans", with_scans(4_000, 2_000), "too_many_scans", bomb=True)
    yield Case("JPEG of 49 megapixels with 12,000 scans", with_scans(7_000, 12_000), "too_many_scans", bomb=True)
    yield Case("JPEG of 5 MB, 93,000 scans", with_scans(4_000, 93_000), "too_many_scans", bomb=True)
    yield Case("JPEG with 101 scans", with_scans(64, 101), "too_many_scans")
    yield Case("JPEG of 16 megapixels with 80 scans", with_scans(4_000, 80), "too_many_scans")
    yield Case("JPEG of 16 megapixels with 25 scans", with_scans(4_000, 15), (4_000, 4_000))
    yield Case("JPEG of 49 megapixels with 90 scans", with_scans(7_000, 80), "too_many_scans")


def floods() -> Iterator[Case]:
    """20 MB of tiny pieces, which Pillow walks one by one before it comes to the pixels: 2 to 8 s each."""
    size = 20_000_000
    for name, piece in {
        "comments": b"\xff\xfe\0\2", "application segments": b"\xff\xe1\0\2", "tables": b"\xff\xdb\0\2",
        "fill bytes": b"\xff\xff", "junk": b"\0\0", "stuffed bytes": b"\xff\0", "restarts": b"\xff\xd0",
        "reserved marks": b"\xff\xf0", "EXIF of 64 kB": b"\xff\xe1\xff\xf0Exif\0\0" + bytes(65_512),
    }.items():
        yield Case(f"JPEG of 20 MB of {name}", JPEG[:20] + piece * (size // len(piece)) + JPEG[20:], "damaged")
    yield Case("JPEG of 20 MB of comments after its first scan",
               JPEG[:-2] + b"\xff\xfe\0\2" * (size // 4) + b"\xff\xda\0\2" * 200, "damaged")
    for name, piece in {"unknown chunks": chunk(b"prVt", b""), "texts": chunk(b"tEXt", b"k\0v"),
                        "empty pixels": chunk(b"IDAT", b"")}.items():
        yield Case(f"PNG of 20 MB of {name}", PNG[:33] + piece * (size // len(piece)) + PNG[33:], "damaged")
    whole = gif(1, 1)
    for name, piece in {"comments": b"!\xfe\1a\0", "small blocks": b"!\xfe" + b"\1a" * 100_000 + b"\0",
                        "junk": b"\0\0"}.items():
        yield Case(f"GIF of 20 MB of {name}", whole[:19] + piece * (size // len(piece)) + whole[19:], "damaged")
    tags = b"".join(struct.pack("<HHQ8s", number % 65536, 1, 1, b"a") for number in range(100_000))
    start = b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1_000_000)
    yield Case("BigTIFF of 1,000,000 tags", start + tags * 10 + bytes(8), "damaged")


def near_the_limit() -> Iterator[Case]:
    """Just below 50 megapixels, where it is memory that counts."""
    yield Case("PNG of one bit, 49 megapixels", png(7_000, 7_000), (7_000, 7_000))
    yield Case("PNG RGB, 49 megapixels", png(7_000, 7_000, 8, 2), (7_000, 7_000))
    yield Case("PNG RGBA, 49 megapixels", png(7_000, 7_000, 8, 6), "too_many_pixels")
    yield Case("PNG of 16 bits, 49 megapixels", png(7_000, 7_000, 16), (7_000, 7_000))
    yield Case("PNG grey with alpha, 49 megapixels", png(7_000, 7_000, 8, 4), (7_000, 7_000))
    whole = encoded(Image.new("RGB", (7_000, 7_000)), "WEBP", quality=1, method=0)
    yield Case("whole WebP, 49 megapixels", whole, "too_many_pixels")
    yield Case("GIF, 49 megapixels", gif(7_000, 7_000), (7_000, 7_000))
    flat = encoded(Image.new("RGB", (7_000, 7_000)), "JPEG", progressive=True, quality=20, subsampling=0)
    yield Case("progressive JPEG 4:4:4, 49 megapixels", flat, "too_many_pixels")
    exif = Image.Exif()
    exif[0x0112] = 6
    large = Image.new("RGB", (7_000, 7_100), "gray")
    yield Case("JPEG of 49.7 megapixels that must be turned", encoded(large, "JPEG", exif=exif), (3_550, 3_500))
    phone = encoded(Image.new("RGB", (12_000, 9_000), "gray"), "JPEG")
    yield Case("baseline JPEG of 108 megapixels", phone, (6_000, 4_500))
    yield Case("baseline JPEG of 200 megapixels", jpeg_200(), (8_160, 6_120))


def jpeg_200() -> bytes:
    """16320 x 12240, as the largest phones make them."""
    return encoded(Image.new("L", (16_320, 12_240), 128), "JPEG")


def liars() -> Iterator[Case]:
    """Headers that promise what does not follow."""
    yield Case("PNG that says 8000 x 6000 and has 64 x 48", PNG[:16] + struct.pack(">II", 8000, 6000) + PNG[24:],
               "damaged")
    lie = struct.pack(">IIBBBBB", 8000, 6000, 8, 2, 0, 0, 0)
    yield Case("PNG 48 megapixels of nothing", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", lie) + PNG[33:], "truncated")
    yield Case("PNG 0 x 0", png(0, 0), "damaged")
    yield Case("JPEG that says 7000 x 7000 and has 64 x 48", jpeg_size(JPEG, 7000, 7000), (7000, 7000))
    yield Case("JPEG that says 0 x 0", jpeg_size(JPEG, 0, 0), "damaged")
    yield Case("BMP of negative width", bmp(-5, 5, data=bytes(80)), "too_many_pixels")
    yield Case("BMP of 7000 x 7000 without pixels", bmp(7000, 7000), "truncated")
    yield Case("BMP whose pixels begin behind the end", bmp(8, 8, data=bytes(192), offset=10**9), "truncated")
    yield Case("TIFF whose strip lies behind the end", tiff(64, 64, strip_bytes=4096), "truncated")
    yield Case("TIFF 0 x 0", tiff(0, 0, strip_bytes=0), "damaged")
    yield Case("TIFF whose directory points to itself",
               b"II*\0\x08\0\0\0" + b"\0\0" + struct.pack("<I", 8) + bytes(9), "damaged")
    yield Case("TIFF with 65535 tags and no room for them", b"II*\0\x08\0\0\0\xff\xff" + bytes(40), "truncated")
    packed = zlib.compress(bytes(49_000_000))
    yield Case("TIFF deflate strip that grows a thousandfold", tiff(
        7000, 7000, data=packed, strip_bytes=len(packed), compression=8), (7000, 7000))
    yield Case("WebP longer than it is", b"RIFF\xff\xff\xff\x7fWEBPVP8L" + bytes(40), "truncated")
    yield Case("AVIF of a type box only", b"\0\0\0\x18ftypavif\0\0\0\0avifmif1", "truncated")
    yield Case("HEIC of a type box only", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "damaged")


def broken() -> Iterator[Case]:
    """Damage, and compressed metadata that unpacks to a hundred megabytes."""
    bomb = zlib.compress(bytes(100_000_000), 9)
    yield Case("PNG text of 100 MB", png(8, 8, extra=chunk(b"zTXt", b"a\0\0" + bomb)), "damaged", bomb=True)
    yield Case("PNG colour profile of 100 MB", png(8, 8, extra=chunk(b"iCCP", b"a\0\0" + bomb)), "damaged", bomb=True)
    texts = b"".join(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000))) for _ in range(70))
    yield Case("PNG with 70 texts of 1 MB", png(8, 8, extra=texts), "damaged")
    yield Case("PNG with a wrong checksum of its header", PNG[:29] + b"abcd" + PNG[33:], "damaged")
    yield Case("PNG with a wrong checksum of its pixels", PNG[:-20] + b"abcd" + PNG[-16:], "damaged")
    yield Case("PNG whose pixels are no deflate stream", png(8, 8, idat=b"this is no deflate stream"), "damaged")
    yield Case("PNG with a colour type that does not exist", b"\x89PNG\r\n\x1a\n" + chunk(
        b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 5, 0, 0, 0)) + PNG[33:], "damaged")
    yield Case("PNG signature and noise", b"\x89PNG\r\n\x1a\n" + np.random.default_rng(0).bytes(500), "damaged")
    yield Case("JPEG without tables", b"\xff\xd8" + JPEG[JPEG.index(b"\xff\xc0"):], "damaged")
    yield Case("JPEG of 12 bits", JPEG.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"), "damaged")
    yield Case("JPEG start and end only", b"\xff\xd8\xff\xd9", "damaged")
    yield Case("JPEG marker of no length", b"\xff\xd8\xff\xe0\0\0" + JPEG[2:], SIZE)
    flipped = bytearray(JPEG)
    for at in np.random.default_rng(1).integers(700, len(JPEG) - 2, 40):
        flipped[at] ^= 0x55
    yield Case("JPEG with 40 flipped bytes", bytes(flipped).replace(b"\xff\xd9", b"\xff\0") + b"\xff\xd9", SIZE)
    yield Case("zeros", bytes(10_000), "not_an_image")
    yield Case("noise", np.random.default_rng(2).bytes(10_000), "not_an_image")
    yield Case("nothing", b"", "empty")
    yield Case("one byte", b"\xff", "not_an_image")
    yield Case("one bit too many: 101 MB", bytes(101 * 2**20), "too_many_bytes")


def cut() -> Iterator[Case]:
    """Every format, cut at several places."""
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "AVIF", "TIFF"):
        data = encoded(draw(5, (200, 150)), kind)
        for place, at in (("in its header", 30), ("in the middle", len(data) // 2), ("near its end", len(data) - 9)):
            whole = kind == "PNG" and place == "near its end"  # only the end mark is missing
            yield Case(f"{kind} cut {place}", data[:at], (200, 150) if whole else "truncated")
    yield Case("JPEG cut by one byte", JPEG[:-1], "truncated")
    yield Case("progressive JPEG cut in the middle", PROGRESSIVE[:len(PROGRESSIVE) // 2], "truncated")


def rare_formats() -> Iterator[Case]:
    """Pictures that Pillow could open, with decoders nobody has looked at for long."""
    image = draw(6)
    for kind in ("PPM", "TGA", "PCX", "XBM", "MSP", "SGI", "SPIDER", "BLP", "DDS", "ICO", "ICNS", "JPEG2000",
                 "QOI", "EPS", "PDF", "DIB"):
        mode = {"XBM": "1", "MSP": "1", "SPIDER": "F", "BLP": "P"}.get(kind, "RGB")
        known = kind in ("SGI", "DDS", "ICO", "ICNS", "JPEG2000", "QOI", "EPS", "PDF")
        yield Case(f"{kind} file", encoded(image.convert(mode), kind),
                   "unsupported_format" if known else "not_an_image")
    yield Case("Photoshop file", b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 8, 8, 8, 3) + bytes(300),
               "unsupported_format")
    yield Case("EPS with a preview", b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 32, 200) + bytes(300),
               "unsupported_format")
    yield Case("FITS", b"SIMPLE  =                    T".ljust(2880), "unsupported_format")
    yield Case("Windows metafile", b"\xd7\xcd\xc6\x9a" + bytes(200), "unsupported_format")
    yield Case("FLI film", struct.pack("<IH", 200, 0xAF11) + bytes(200), "not_an_image")
    yield Case("GIMP file", b"gimp xcf v011\0" + bytes(100), "unsupported_format")
    yield Case("JPEG XL", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), "unsupported_format")


def two_in_one() -> Iterator[Case]:
    """Files that are something else as well, or instead."""
    yield Case("web page called .jpg", b"<!DOCTYPE html><html><body>404</body></html>", "not_an_image")
    yield Case("SVG with a script", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
               "unsupported_format")
    yield Case("PDF", b"%PDF-1.7\n" + JPEG, "unsupported_format")
    yield Case("GIF that is JavaScript", b"GIF89a/*" + bytes(20) + b"*/=alert(1);", "damaged")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", "hello")
    yield Case("JPEG with a zip behind it", JPEG + archive.getvalue(), SIZE)
    yield Case("JPEG with a web page behind it", JPEG + b"<script>alert(1)</script>", SIZE)
    yield Case("zip with a JPEG behind it", archive.getvalue() + JPEG, "unsupported_format")
    yield Case("JPEG with 500 small JPEGs behind it, like a film", JPEG + PROGRESSIVE * 500, SIZE)
    comment = b"\xff\xda\0\0" * 2_000
    yield Case("JPEG with a preview that looks like 2,000 scans",
               JPEG[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(comment)) + comment + JPEG[2:], SIZE)
    yield Case("PostScript called .jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unsupported_format")


def odd_but_right() -> Iterator[Case]:
    """Unusual, and good."""
    frames = [draw(i) for i in range(4)]
    for kind in ("GIF", "WEBP", "PNG", "TIFF", "AVIF"):
        yield Case(f"{kind} of four frames", encoded(frames[0], kind, save_all=True, append_images=frames[1:]), SIZE)
    yield Case("MPO of two pictures", encoded(frames[0], "MPO", save_all=True, append_images=frames[1:2]), SIZE)
    yield Case("PNG 1 x 1", png(1, 1), (1, 1))
    yield Case("PNG 1 x 30000", png(1, 30_000), (1, 30_000))
    yield Case("JPEG 65000 x 2", encoded(Image.new("L", (65_000, 2)), "JPEG"), (65_000, 2))
    yield Case("JPEG of CMYK", encoded(draw(7).convert("CMYK"), "JPEG"), SIZE)
    yield Case("JPEG with broken EXIF", JPEG[:2] + b"\xff\xe1\0\x12Exif\0\0II*\0\xff\xff\xff\xff" + JPEG[2:], SIZE)
    exif = Image.Exif()
    exif[0x0112] = 77
    yield Case("JPEG with an orientation that does not exist", encoded(draw(8), "JPEG", exif=exif), SIZE)
    notes = PngImagePlugin.PngInfo()
    notes.add_text("comment", "x" * 1_000_000, zip=True)
    yield Case("PNG with a text of 1 MB", encoded(draw(9), "PNG", pnginfo=notes), SIZE)
    yield Case("BMP upside down", bmp(8, -8, data=bytes(192)), (8, 8))
    yield Case("JPEG with fill bytes before its markers", JPEG.replace(b"\xff\xdb", b"\xff\xff\xff\xdb", 1), SIZE)
