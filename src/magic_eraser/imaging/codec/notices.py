"""The sentences of the codec's notices."""

from __future__ import annotations

from magic_eraser.imaging.layout import Notice


def animation_dropped(frames: int) -> Notice:
    return Notice(
        "animation_dropped",
        f"The picture moves; only the first of its {frames} frames is used.",
        f"这是一张动图，只使用 {frames} 帧中的第一帧。",
    )


def pages_dropped(pages: int) -> Notice:
    return Notice(
        "pages_dropped", f"Only the first of {pages} pages is used.", f"文件共有 {pages} 页，只使用第一页。"
    )


GPS_DROPPED = Notice(
    "gps_dropped",
    "The place where the photo was taken (GPS) was removed from the file.",
    "已从文件中移除拍摄地点（GPS）信息。",
)


def depth_reduced(title: str, bits: int) -> Notice:
    return Notice(
        "depth_reduced",
        f"{title} is handled with 8 bits a channel; the picture had {bits}.",
        f"{title} 按每通道 8 位处理，原图为 {bits} 位。",
    )


EXTRA_CHANNEL_DROPPED = Notice(
    "extra_channel_dropped",
    "A channel that is neither colour nor transparency was left out.",
    "已略去既非颜色也非透明度的附加通道。",
)


def alpha_flattened(title: str) -> Notice:
    return Notice(
        "alpha_flattened",
        f"{title} has no transparency: the picture was laid on white.",
        f"{title} 不支持透明度，已用白色填充背景。",
    )


ALPHA_ROUNDED = Notice(
    "alpha_rounded",
    "GIF knows only transparent or opaque: half transparent pixels became one of them.",
    "GIF 只支持全透明或不透明，半透明像素已取整。",
)


def cmyk_converted(title: str) -> Notice:
    return Notice(
        "cmyk_converted",
        f"{title} has no CMYK: the colours were converted to sRGB.",
        f"{title} 不支持 CMYK，颜色已转换为 sRGB。",
    )


def profile_dropped(title: str) -> Notice:
    return Notice(
        "profile_dropped",
        f"The colour profile does not fit into this {title} and was left out.",
        f"颜色配置文件无法写入此 {title}，已略去。",
    )


def metadata_dropped(title: str) -> Notice:
    return Notice(
        "metadata_dropped",
        f"{title} cannot carry the camera data (EXIF).",
        f"{title} 无法保存相机信息（EXIF）。",
    )


COLOURS_REDUCED = Notice(
    "colours_reduced",
    "GIF holds 256 colours: the picture was reduced to them.",
    "GIF 最多 256 种颜色，图片颜色已减少。",
)


def format_changed(title: str, to: str) -> Notice:
    return Notice(
        "format_changed", f"{title} is not written; the result is {to}.", f"不能写入 {title}，结果为 {to}。"
    )
