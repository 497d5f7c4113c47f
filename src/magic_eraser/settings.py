"""Every setting of the product, each documented by the string under it.

Read from environment variables with the prefix `ERASER_` (nested with `__`, such as `ERASER_SERVER__PORT`).
`docs/settings.md` is generated from this file. Reading settings does no I/O beyond the environment.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from magic_eraser.errors import SettingsError

PREFIX = "ERASER_"
TEST_PREFIX = "ERASER_TEST_"  # where the test suite finds its servers; not ours to judge
MEBIBYTE = 1024 * 1024


def _split(value: Any) -> Any:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


CommaSeparated = Annotated[tuple[str, ...] | str, AfterValidator(_split)]


def _gradio_port() -> int:
    value = os.environ.get("GRADIO_SERVER_PORT", "7860")
    if not value.isdecimal():
        raise SettingsError(f"GRADIO_SERVER_PORT: not a port (got {value!r})")
    return int(value)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ServerSettings(_Section):
    host: str = Field(default_factory=lambda: os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"))
    """Address to listen on; `0.0.0.0` for every interface. `GRADIO_SERVER_NAME` is honoured where this is unset."""
    port: int = Field(default_factory=_gradio_port, ge=0, le=65535)
    """TCP port; 0 takes a free one. `GRADIO_SERVER_PORT` is honoured where this is unset."""
    root_path: str = ""
    """Path under which a reverse proxy serves us, such as `/eraser`; empty at the root."""
    trusted_proxies: CommaSeparated = ()
    """Addresses or networks, comma-separated, whose `X-Forwarded-*` headers are believed; empty trusts none."""
    cors_origins: CommaSeparated = ()
    """Origins, comma-separated, whose pages may call the API from a browser; empty allows only our own page."""
    drain_seconds: float = Field(default=30, ge=0)
    """After SIGTERM, seconds that running requests are given to finish."""
    simple_ui: bool = True
    """Serve the Gradio simple mode at `/ui` (needs the extra `ui`; imported on the first visit)."""


class LimitSettings(_Section):
    max_pixels: int = Field(default=50_000_000, ge=1)
    """Largest picture accepted, in pixels (width times height), checked before it is decoded."""
    max_body_bytes: int = Field(default=64 * MEBIBYTE, ge=1024)
    """Largest request body, in bytes, counted while it streams in."""


class QueueSettings(_Section):
    slots: int = Field(default=3, ge=1, le=256)
    """Erase requests worked on at once; each holds one decoded picture in memory."""
    depth: int = Field(default=64, ge=0)
    """Erase requests that may wait for a slot; one more is answered 503 `queue_full`."""
    deadline_seconds: float = Field(default=30, gt=0)
    """Seconds a request may take, waiting included; then 504 `deadline_exceeded`. `X-Eraser-Deadline` asks for less."""


class ModelSettings(_Section):
    default: str = "auto"
    """Model for requests that name none."""
    threads: int = Field(default=0, ge=0, le=256)
    """Processor cores that one fill may use; 0 shares the cores out between `ERASER_QUEUE__SLOTS`, at least 1 each."""


class ImageStoreSettings(_Section):
    ttl_seconds: int = Field(default=3600, ge=1)
    """Seconds that an upload or a result kept for the next round stays."""
    max_bytes: int = Field(default=1024 * MEBIBYTE, ge=MEBIBYTE)
    """Disk space, in bytes, that uploads and results may take together; the oldest go first."""


class LogSettings(_Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is written."""
    format: Literal["console", "json"] = "console"
    """For people, or one JSON object a line."""
    file: Path | None = None
    """File that log lines are appended to; standard error where unset."""


class Settings(BaseSettings):
    """All settings; build one with `load()` so that a misspelt variable stops the start."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("magic-eraser")))
    """Folder for everything that is kept: uploads and results. The user's data folder where unset."""
    server: ServerSettings = Field(default_factory=ServerSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    queue: QueueSettings = Field(default_factory=QueueSettings)
    models: ModelSettings = Field(default_factory=ModelSettings)
    images: ImageStoreSettings = Field(default_factory=ImageStoreSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the environment.

        Raises:
            SettingsError: an unknown `ERASER_*` variable (with the nearest right name) or an unusable value.
        """
        known = list(variables())
        given = sorted(name.upper() for name in (os.environ if environ is None else environ))
        ours = [name for name in given if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX)]
        faults = [_unknown(name, known) for name in ours if name not in known]
        if faults:
            raise SettingsError("\n".join(faults))
        try:
            return cls()
        except ValidationError as error:
            raise SettingsError("\n".join(_fault(item) for item in error.errors())) from None


def variables() -> Iterator[str]:
    """Every environment variable that is understood, in the order of this file."""
    for name, _field in fields():
        yield name


def fields() -> Iterator[tuple[str, Any]]:
    """(environment variable, pydantic FieldInfo) of every single setting, sections unfolded."""
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, _Section):
            for inner, inner_field in section.model_fields.items():
                yield f"{PREFIX}{name}__{inner}".upper(), inner_field
        else:
            yield f"{PREFIX}{name}".upper(), field


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.6)
    advice = f"did you mean {near[0]}?" if near else "see docs/settings.md for the list."
    return f"Unknown setting {name}: {advice}"


def _fault(item: Any) -> str:
    variable = PREFIX + "__".join(str(part) for part in item["loc"]).upper()
    return f"{variable}: {item['msg']} (got {item['input']!r})"
