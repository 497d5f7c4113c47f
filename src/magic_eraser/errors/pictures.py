"""400: the picture or the mask cannot be used."""

from __future__ import annotations

from magic_eraser.errors.base import EraserError


class InvalidImage(EraserError):
    code = "invalid_image"
    status = 400
    title = "The image cannot be read."
    title_zh = "无法读取这张图片。"
    hint = "Open it in a viewer to see whether it is whole, then send it again."
    hint_zh = "请先用看图软件确认文件完整，再重新上传。"


class InvalidMask(EraserError):
    code = "invalid_mask"
    status = 400
    title = "The mask cannot be used."
    title_zh = "无法使用这张蒙版。"
    hint = "Send an image in which white marks what to erase and black what to keep."
    hint_zh = "请提供一张蒙版：白色表示要擦除，黑色表示保留。"


class MaskSizeMismatch(EraserError):
    code = "mask_size_mismatch"
    status = 400
    title = "The mask and the image differ in size."
    title_zh = "蒙版与图片的尺寸不一致。"
    hint = "Send a mask of exactly the image's width and height (after its EXIF orientation)."
    hint_zh = "请提供与图片（按 EXIF 方向旋转后）宽高完全一致的蒙版。"


class EmptyMask(EraserError):
    code = "empty_mask"
    status = 400
    title = "The mask marks nothing to erase."
    title_zh = "蒙版中没有要擦除的区域。"
    hint = "Paint over what should go: white (above 127) erases."
    hint_zh = "请先涂抹要去掉的部分：白色（大于 127）表示擦除。"


class InvalidArchive(EraserError):
    code = "invalid_archive"
    status = 400
    title = "The archive cannot be used."
    title_zh = "无法使用这个压缩包。"
    hint = "Send a plain ZIP with a folder images/ and a folder masks/, paired by name."
    hint_zh = "请提供普通 ZIP 文件，其中 images/ 与 masks/ 两个文件夹内的文件同名配对。"
