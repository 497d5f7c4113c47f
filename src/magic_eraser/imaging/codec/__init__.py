"""Bytes to pictures and back: allow-listed formats, pixel caps, and nothing lost that was not asked for."""

from magic_eraser.imaging.codec.decode import decode
from magic_eraser.imaging.codec.encode import Encoded, encode
from magic_eraser.imaging.codec.formats import (
    FORMATS,
    Format,
    FormatName,
    OutputFormat,
    extension_of,
    format_of_extension,
    identify,
)
from magic_eraser.imaging.codec.header import MAX_PIXELS, Probe, probe

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "Encoded",
    "Format",
    "FormatName",
    "OutputFormat",
    "Probe",
    "decode",
    "encode",
    "extension_of",
    "format_of_extension",
    "identify",
    "probe",
]
