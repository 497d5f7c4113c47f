"""`ldm`: latent diffusion for inpainting (Rombach et al., CVPR 2022)."""

from magic_eraser.models.ldm.inpainter import CARD, LdmInpainter, load

__all__ = ["CARD", "LdmInpainter", "load"]
