"""The secret with which API keys are digested: with the database alone, nobody can try keys."""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from pathlib import Path

from magic_eraser.errors import SettingsError
from magic_eraser.settings import AuthSettings

FILE = "key_pepper"
"""In the data folder, beside SQLite's file."""
FEWEST_BYTES = 32
_MOST_BYTES = 4096
_SETTING = "ERASER_AUTH__KEY_PEPPER"
_MAKE = 'python -c "import secrets; print(secrets.token_hex(32))"'


class Pepper:
    """One secret.

    Args:
        secret: at least `FEWEST_BYTES`.

    Raises:
        SettingsError: it is shorter.

    Attributes:
        id: 8 hex digits that tell it from another, and say nothing else of it.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < FEWEST_BYTES:
            raise SettingsError(
                f"{_SETTING}: {len(secret)} bytes, but at least {FEWEST_BYTES} are needed. Make one: {_MAKE}"
            )
        self._secret = secret
        self.id = self.digest("magic-eraser: which pepper")[:8]

    def digest(self, text: str) -> str:
        """HMAC-SHA256 of a text, 64 hex digits."""
        return hmac.digest(self._secret, text.encode(), "sha256").hex()

    def __repr__(self) -> str:
        return f"Pepper({self.id})"


def load(auth: AuthSettings, data_dir: Path, *, is_sqlite: bool) -> Pepper:
    """The pepper that the settings give; beside SQLite else the one of the data folder, made where there is none.

    Raises:
        SettingsError: too short; none is given beside PostgreSQL, whose servers must share it; or its file cannot be
            made or read, or may be read by others.
    """
    given = auth.key_pepper.get_secret_value()
    if given:
        return Pepper(given.encode())
    if not is_sqlite:
        raise SettingsError(
            f"{_SETTING} is not set; with PostgreSQL it is needed, and must be the same on all servers. "
            f"Make one: {_MAKE}"
        )
    path = data_dir / FILE
    try:
        if not path.exists():
            _make(path)
        return Pepper(_read(path))
    except OSError as error:
        raise SettingsError(
            f"{path}: the secret of API keys cannot be kept there: {error.strerror or error}. "
            f"Mend that, or set {_SETTING}."
        ) from None


def _make(path: Path) -> None:
    """Written whole before it has its name: another server that starts at the same time reads all of it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{FILE}.{secrets.token_hex(8)}")
    opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(opened, "wb") as file:
            file.write(secrets.token_hex(32).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return  # the other one's it is
        _keep(path.parent)
    finally:
        draft.unlink()


def _keep(folder: Path) -> None:
    """Names in a folder outlive a power failure; a database that does not lose its keys must not lose their secret."""
    if os.name == "posix":
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        facts = os.fstat(file.fileno())
        if os.name == "posix" and stat.S_IMODE(facts.st_mode) & 0o077:
            raise SettingsError(
                f"{path}: others can read the secret of API keys; run: chmod 600 {path}. If somebody may have read it, "
                f"delete the file instead, and all keys with it."
            )
        secret = file.read(_MOST_BYTES).strip()
    if len(secret) < FEWEST_BYTES:
        raise SettingsError(
            f"{path}: the secret of API keys is cut short. Bring the file back from a backup; without it no key that "
            f"was made works, and once it is deleted, a new one is made."
        )
    return secret
