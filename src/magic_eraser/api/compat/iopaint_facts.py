"""What IOPaint 1.6 says of itself to its front end; its clients read these keys."""

from __future__ import annotations

from typing import Any

SAMPLERS = (
    "DPM++ 2M", "DPM++ 2M Karras", "DPM++ 2M SDE", "DPM++ 2M SDE Karras", "DPM++ SDE", "DPM++ SDE Karras",
    "DPM2", "DPM2 Karras", "DPM2 a", "DPM2 a Karras", "Euler", "Euler a", "Heun", "LMS", "LMS Karras", "DDIM",
    "PNDM", "UniPC", "LCM",
)  # fmt: skip


def model_info(name: str, *, prompt: bool = False) -> dict[str, Any]:
    """IOPaint's `ModelInfo` of an erase model, or of one that heeds a prompt."""
    return {
        "name": name,
        "path": name,
        "model_type": "diffusers_sd_inpaint" if prompt else "inpaint",
        "is_single_file_diffusers": False,
        "need_prompt": prompt,
        "controlnets": [],
        "brushnets": [],
        "support_strength": False,
        "support_outpainting": False,
        "support_lcm_lora": False,
        "support_controlnet": False,
        "support_brushnet": False,
        "support_powerpaint_v2": False,
    }


def server_config(infos: list[dict[str, Any]]) -> dict[str, Any]:
    """IOPaint's `ServerConfigResponse` of a server without plugins and without a file manager.

    Args:
        infos: `model_info` of each model that can be chosen.
    """
    return {
        "plugins": [],
        "modelInfos": infos,
        "removeBGModel": "briaai/RMBG-1.4",
        "removeBGModels": [],
        "realesrganModel": "realesr-general-x4v3",
        "realesrganModels": [],
        "interactiveSegModel": "sam2_1_tiny",
        "interactiveSegModels": [],
        "enableFileManager": False,
        "enableAutoSaving": False,
        "enableControlnet": False,
        "controlnetMethod": None,
        "disableModelSwitch": False,
        "isDesktop": False,
        "samplers": list(SAMPLERS),
    }
