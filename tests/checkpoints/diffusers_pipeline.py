"""A folder like those of published inpainting pipelines, with nets so small and random that it weighs 300 kB."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from magic_eraser.models.torchvision_import import import_torchvision

import_torchvision()  # as the product does: transformers imports it where it is there
from diffusers import (  # noqa: E402 (see above)
    AutoencoderKL,
    DDIMScheduler,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    StableDiffusionInpaintPipeline,
    StableDiffusionXLInpaintPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer  # noqa: E402

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def write_pipeline(folder: Path, *, xl: bool = False) -> Path:
    """Stable Diffusion's, or SDXL's (`xl`), with safetensors weights, of 9 input channels, made for 256 px.

    The VAE halves three times, as the published ones do, so a latent stands for 8 x 8 pixels.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pipeline = _xl(folder) if xl else _first(folder)
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def _first(folder: Path) -> DiffusionPipeline:
    return StableDiffusionInpaintPipeline(
        vae=_vae(),
        text_encoder=CLIPTextModel(_text(layers=1)),
        tokenizer=_tokenizer(folder, "tokenizer"),
        unet=_unet(cross_attention_dim=16),
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _xl(folder: Path) -> DiffusionPipeline:
    """Two text encoders, whose states the net is given side by side (16 + 16), and six numbers of sizes (4 each)."""
    return StableDiffusionXLInpaintPipeline(
        vae=_vae(),
        text_encoder=CLIPTextModel(_text(layers=2)),
        text_encoder_2=CLIPTextModelWithProjection(_text(layers=2)),
        tokenizer=_tokenizer(folder, "tokenizer"),
        tokenizer_2=_tokenizer(folder, "tokenizer_2"),
        unet=_unet(
            cross_attention_dim=32,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=4,
            projection_class_embeddings_input_dim=16 + 6 * 4,
        ),
        scheduler=EulerDiscreteScheduler(steps_offset=1),
    )


def _unet(**more: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=32,
        in_channels=9,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=2,
        norm_num_groups=4,
        **more,
    )


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(4, 4, 8, 8),
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4,
        sample_size=256,
    )


def _text(layers: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=100,
        hidden_size=16,
        intermediate_size=32,
        projection_dim=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        max_position_embeddings=77,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )


def _tokenizer(folder: Path, name: str) -> CLIPTokenizer:
    """Letter by letter, in the two files that CLIP's tokenizer has; they go to a folder beside the pipeline's."""
    source = folder.parent / f"{folder.name}-{name}"
    source.mkdir(parents=True)
    pieces = ["<|startoftext|>", "<|endoftext|>", *LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    (source / "vocab.json").write_text(json.dumps({piece: number for number, piece in enumerate(pieces)}))
    (source / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(source, model_max_length=77)
