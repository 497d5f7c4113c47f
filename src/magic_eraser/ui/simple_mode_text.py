"""What the simple mode says, in both languages."""

from __future__ import annotations

from typing import Literal

Language = Literal["en", "zh"]

TITLE = "Magic Eraser 魔术橡皮擦"

TEXTS: dict[str, tuple[str, str]] = {
    "intro": (
        (
            "Paint over what should go, then press **Erase**. "
            "For large photos, touch screens and further rounds, use the [main page](../)."
        ),
        "涂抹要去掉的部分，再点击**开始处理**。大图、触屏操作或继续擦除，请使用[主页面](../)。",
    ),
    "tab_paint": ("Paint", "涂抹"),
    "tab_upload": ("Upload a mask", "上传蒙版"),
    "image": ("Photo", "图片"),
    "mask": ("Mask: white is erased, black is kept", "蒙版：白色擦除，黑色保留"),
    "model": ("Model", "模型"),
    "model_info": ("auto takes what suits the erased area best.", "auto 会按擦除区域选择最合适的模型。"),
    "auto": ("auto (recommended)", "auto（推荐）"),
    "effort": ("Quality", "质量"),
    "effort_fast": ("Quick", "快速"),
    "effort_balanced": ("Normal", "标准"),
    "effort_best": ("Best", "最佳"),
    "grow": ("Grow to the rim of the object", "扩大到物体边缘"),
    "grow_info": ("Helps when a rim or a shadow is left over.", "边缘或阴影有残留时使用。"),
    "erase": ("Erase", "开始处理"),
    "clear": ("Clear", "清除"),
    "result": ("Before and after", "处理前后对比"),
    "download": ("Download the result", "下载结果"),
    "placeholder": ("Drop a photo here\nor click to choose one", "将图片拖到这里\n或点击选择图片"),
    "no_image": ("Choose a photo first.", "请先选择一张图片。"),
    "no_mask": ("Choose a mask first: white is erased, black is kept.", "请先选择蒙版：白色擦除，黑色保留。"),
    "not_a_file": (
        "A picture must be an uploaded file (in Python: handle_file with a path on your disk).",
        "图片必须是已上传的文件（Python 中请用 handle_file 传入本地路径）。",
    ),
    "no_links": (
        "Pictures are not fetched from other addresses. Download it and send the file.",
        "不支持从网址获取图片，请下载后上传文件。",
    ),
    "file_gone": ("The uploaded file is no longer here. Send it again.", "上传的文件已不存在，请重新上传。"),
    "too_large": (
        (
            "This photo is {width} x {height} pixels. Painting here works up to {limit} pixels a side; "
            'the <a href="../">main page</a> takes larger ones.'
        ),
        (
            "这张图片为 {width} x {height} 像素。此处涂抹最多支持每边 {limit} 像素；"
            '更大的图片请使用<a href="../">主页面</a>。'
        ),
    ),
    "unavailable": (
        "The simple mode cannot be started on this server (see its log). The main page works without it.\n",
        "此服务器无法启动简易模式（原因见服务器日志）。主页面不受影响，可照常使用。\n",
    ),
}  # fmt: skip


def text(key: str, language: Language, **values: object) -> str:
    """The sentence, with its values filled in."""
    return TEXTS[key][1 if language == "zh" else 0].format(**values)


def first_language(accept_language: str) -> Language:
    """Chinese where the header names it first."""
    return "zh" if accept_language.strip().lower().startswith("zh") else "en"
