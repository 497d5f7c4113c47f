"""How an API key is written: `eras_live_`, 37 random characters, 6 of a checksum.

A key that was not copied whole is told from one that is not known without a look into the database, and scanners for
leaked secrets find keys by the prefix and make sure by the checksum, as GitHub's.
"""

from __future__ import annotations

import re
import secrets
import string
import zlib

from magic_eraser.errors import InvalidToken

FAMILY = "eras_"
"""What begins so is meant as a key of ours, and is no token."""
PREFIX = "eras_live_"
RANDOM = 37
"""Characters of base 62: 220 bits."""
CHECKSUM = 6
"""Characters of base 62 for the 32 bits of CRC-32 (as in zlib) of all that stands before."""
LENGTH = len(PREFIX) + RANDOM + CHECKSUM
ENDING = 4
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_WRITTEN = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{RANDOM + CHECKSUM}}}")


def make() -> str:
    """A new key, of the operating system's randomness."""
    text = PREFIX + random_text(RANDOM)
    return text + _checksum(text)


def check(text: str) -> None:
    """Whether it can be a key at all; not whether anybody has it.

    Raises:
        InvalidToken: of another length or other characters, or the checksum does not fit: any one character that was
            changed is noticed.
    """
    if not _WRITTEN.fullmatch(text):
        raise InvalidToken(
            f'This is no API key: one has {LENGTH} letters and digits, beginning with "{PREFIX}".',
            f"这不是有效的 API 密钥：密钥以“{PREFIX}”开头，共 {LENGTH} 个字符。",
        )
    if _checksum(text[:-CHECKSUM]) != text[-CHECKSUM:]:
        raise InvalidToken(
            "The API key has a slip of the pen in it: its checksum does not fit.",
            "API 密钥有误：校验码不匹配。",
        )


def ending(text: str) -> str:
    """The last characters of a key, by which people tell it from others. They are of the checksum, and say little of
    the random part."""
    return text[-ENDING:]


def random_text(length: int) -> str:
    """Letters and digits, each equally likely: 5.95 bits a character."""
    return "".join(secrets.choice(_DIGITS) for _ in range(length))


def _checksum(text: str) -> str:
    rest = zlib.crc32(text.encode("ascii"))
    digits = ""
    for _ in range(CHECKSUM):
        rest, digit = divmod(rest, 62)
        digits = _DIGITS[digit] + digits
    return digits
