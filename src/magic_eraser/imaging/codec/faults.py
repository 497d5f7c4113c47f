"""The refusals of the codec, worded once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from magic_eraser.errors import EraserError, ImageTooLarge, InvalidImage, UnsupportedFormat
from magic_eraser.imaging.codec.formats import Format


def cut_off(kind: Format) -> InvalidImage:
    return InvalidImage(
        f"The {kind.title} file is cut off: its end is missing.", f"{kind.title} 文件不完整：缺少末尾部分。"
    )


def damaged(kind: Format, why: str) -> InvalidImage:
    return InvalidImage(f"The {kind.title} file is damaged ({why}).", f"{kind.title} 文件已损坏（{why}）。")


def unsupported(kind: Format, what: str, what_zh: str) -> UnsupportedFormat:
    return UnsupportedFormat(
        f"{kind.title} pictures with {what} are not supported.", f"不支持{what_zh}的 {kind.title} 图片。"
    )


def check_size(width: int, height: int, max_pixels: int, kind: Format) -> None:
    """Refuse a picture by its header.

    Raises:
        InvalidImage: a side of zero or less; ImageTooLarge: more than `max_pixels`.
    """
    if width < 1 or height < 1:
        raise damaged(kind, f"its header says {width} x {height} pixels")
    pixels = width * height
    if pixels > max_pixels:
        raise ImageTooLarge(
            f"The image has {width} x {height} = {pixels:,} pixels; at most {max_pixels:,} are taken.",
            f"图片为 {width} x {height} = {pixels:,} 像素，最多允许 {max_pixels:,} 像素。",
            extra={"max_pixels": max_pixels, "pixels": pixels},
        )


@contextmanager
def guarded(kind: Format) -> Iterator[None]:
    """Turn whatever a decoder raises on a hostile or broken file into InvalidImage."""
    try:
        yield
    except EraserError:
        raise
    except MemoryError as error:
        raise damaged(kind, "decoding it needs more memory than there is") from error
    except Image.DecompressionBombError as error:
        # Pillow's own limit, on the few inner sizes that no header tells (a GIF frame, a TIFF tile).
        raise ImageTooLarge(
            f"The {kind.title} file unpacks to more pixels than are taken.",
            f"{kind.title} 文件解压后的像素过多。",
        ) from error
    # Pillow's plugins and OpenCV raise anything at all (KeyError, ZeroDivisionError, cv2.error, ...) on bytes
    # made to break them: a list of types here would be a list of the ones met so far.
    except Exception as error:
        raise _worded(kind, error) from error


def _worded(kind: Format, error: Exception) -> EraserError:
    said = str(error).lower()
    if any(word in said for word in ("truncated", "unexpected end", "not enough data")):
        return cut_off(kind)
    if any(word in said for word in ("unsupported", "unknown pixel mode", "cannot handle", "not supported")):
        return unsupported(kind, f"this inner structure ({error})"[:150], "此类内部结构")
    return damaged(kind, str(error).splitlines()[0][:120] if said.strip() else type(error).__name__)
