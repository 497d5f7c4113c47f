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
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
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


def _pairs(value: Any) -> Any:
    for part in value:
        name, _, seconds = part.partition("=")
        if not (name and seconds.replace(".", "", 1).isdecimal()):
            raise ValueError(f"{part} is not of the form model=seconds")
    return value


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
    grace_seconds: float = Field(default=0, ge=0)
    """After SIGTERM, seconds in which `/readyz` says 503 and work is still taken, for a balancer to look elsewhere."""
    drain_seconds: float = Field(default=30, ge=0)
    """After that, seconds that running requests are given to finish."""
    sleep_after_seconds: float = Field(default=1800, ge=0)
    """Seconds without work after which the server sleeps: models and caches leave memory; 0 never does."""
    simple_ui: bool = True
    """Serve the Gradio simple mode at `/ui` (needs the extra `ui`; imported on the first visit)."""


class LimitSettings(_Section):
    max_pixels: int = Field(default=50_000_000, ge=1)
    """Largest picture accepted, in pixels (width times height), checked before it is decoded."""
    max_body_bytes: int = Field(default=64 * MEBIBYTE, ge=1024)
    """Largest request body, in bytes, counted while it streams in."""
    body_idle_seconds: float = Field(default=20, gt=0)
    """Seconds without a byte of a request's head or body after which it is given up: 408 `request_timeout`."""
    min_body_bytes_per_second: int = Field(default=4096, ge=0)
    """Slowest mean rate, in bytes a second, at which a body may come in; judged from the tenth second on."""
    requests_per_minute: int = Field(default=0, ge=0)
    """Requests that cost, a minute, by key or else by address; one more is answered 429 `rate_limited`. 0: no limit."""


class QueueSettings(_Section):
    slots: int = Field(default=3, ge=1, le=256)
    """Erase requests worked on at once; each holds one decoded picture in memory."""
    depth: int = Field(default=64, ge=0)
    """Erase requests that may wait for a slot; one more is answered 503 `queue_full`."""
    deadline_seconds: float = Field(default=30, gt=0)
    """Seconds a request may take, waiting included; then 504 `deadline_exceeded`. `X-Eraser-Deadline` asks for less."""
    aging_seconds: float = Field(default=10, gt=0)
    """Seconds without a turn that raise a caller by one class of priority, so that nobody waits for ever."""


class ModelSettings(_Section):
    default: str = "auto"
    """Model for requests that name none."""
    threads: int = Field(default=0, ge=0, le=256)
    """Processor cores that one fill may use; 0 shares the cores out between `ERASER_QUEUE__SLOTS`, at least 1 each.
    Networks, of which one runs at a time, use all cores where it is 0."""
    preload: CommaSeparated = ()
    """Model ids, comma-separated, made ready at the start instead of at their first use."""
    idle_unload_seconds: float = Field(default=1800, ge=0)
    """Seconds after its last use that a model is let go; 0 keeps it."""
    idle_unload_of: Annotated[CommaSeparated, AfterValidator(_pairs)] = ()
    """The same for single models, comma-separated, such as `ldm=60,lama=0`."""
    memory_budget_mb: int = Field(default=0, ge=0)
    """MiB that loaded models may take together; those not used for longest go first. 0: six tenths of the memory."""
    isolation: Literal["process", "thread"] = "process"
    """Where networks run: in a child process each, whose memory comes back when it ends, or in the server's own."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """Where networks run: `cpu`, `cuda`, `cuda:1`; `auto` takes a GPU where there is one that works."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of networks: `float32`, `bfloat16`; `auto` takes bfloat16 where the hardware has instructions for it."""
    cpu_offload: bool = False
    """On a GPU, keep weights in main memory and bring them over for each fill: slower, and far less GPU memory."""
    low_memory: bool = False
    """Networks work at half the size and one crop at a time, diffusion in slices: less memory, less detail, slower."""
    accepted_licences: CommaSeparated = ()
    """Licences, comma-separated, accepted by name where they limit the use of a model, such as `CC-BY-NC-4.0`."""


def _model_cache_dir() -> Path:
    given = os.environ.get("MODEL_CACHE_DIR")
    return Path(given) if given else Path(platformdirs.user_cache_dir("magic-eraser")) / "models"


class WeightSettings(_Section):
    dir: Path = Field(default_factory=_model_cache_dir)
    """Folder of model weights. `MODEL_CACHE_DIR` is honoured where this is unset; else the user's cache folder."""
    mirror: str = ""
    """Address that serves the same paths as the publishers' hosts, such as `https://mirror.example/weights`."""
    offline: bool = False
    """Never try to download."""
    hf_endpoint: str = Field(default_factory=lambda: os.environ.get("HF_ENDPOINT", ""))
    """Stands for `https://huggingface.co`. `HF_ENDPOINT` is honoured where this is unset."""
    hf_token: SecretStr = Field(default_factory=lambda: SecretStr(os.environ.get("HF_TOKEN", "")))
    """Sent to that host only, for files that ask for a login. `HF_TOKEN` is honoured where this is unset."""


class ImageStoreSettings(_Section):
    ttl_seconds: int = Field(default=3600, ge=1)
    """Seconds that an upload or a result kept for the next round stays."""
    max_bytes: int = Field(default=1024 * MEBIBYTE, ge=MEBIBYTE)
    """Disk space, in bytes, that uploads and results may take together; the oldest go first."""


class DatabaseSettings(_Section):
    url: SecretStr = SecretStr("")
    """`postgresql://user:password@host/name` or `sqlite:///path`; a file in the data folder where unset."""
    timeout_seconds: float = Field(default=10, gt=0)
    """Seconds to wait for a connection or for a lock that somebody else holds; then 503 `storage_unavailable`."""
    pool_size: int = Field(default=10, ge=1, le=200)
    """Connections kept to PostgreSQL."""
    upgrade_on_start: bool = True
    """Bring an older schema up to date when the server starts; otherwise it refuses to start with one."""


class RedisSettings(_Section):
    url: SecretStr = SecretStr("")
    """`redis://host:6379/0`, of the cache and of rate limits that several servers share; unset for none."""
    timeout_seconds: float = Field(default=0.5, gt=0)
    """Seconds to wait for it before going on without."""


class CacheSettings(_Section):
    backend: Literal["null", "memory", "file", "redis"] = "file"
    """Where results are kept for equal requests: nowhere, in memory, in the data folder, in `ERASER_REDIS__URL`."""
    ttl_seconds: int = Field(default=3600, ge=1)
    """Seconds that a result stays."""
    max_bytes: int = Field(default=0, ge=0)
    """Bytes that results may take together; those not used for longest go first. 0: 1 GiB of disk for `file`, 128 MiB
    for `memory`. Redis has a limit of its own."""


class IdempotencySettings(_Section):
    ttl_seconds: int = Field(default=86_400, ge=60)
    """Seconds that the answer to an `Idempotency-Key` is kept."""


class JobSettings(_Section):
    ttl_seconds: int = Field(default=86_400, ge=60)
    """Seconds that a job, its pictures and its results stay once it is over."""
    max_items: int = Field(default=1000, ge=1)
    """Most pairs of picture and mask in one job."""
    max_open: int = Field(default=50, ge=1)
    """Jobs of one caller that may be open at once; one more is answered 429 `rate_limited`."""
    max_kept_bytes: int = Field(default=4096 * MEBIBYTE, ge=1024)
    """Bytes that the pictures sent with one caller's jobs may take together, as long as the jobs are kept."""
    max_body_bytes: int = Field(default=1024 * MEBIBYTE, ge=1024)
    """Largest body of a new job, in bytes, and largest sum of what a ZIP unpacks to."""
    concurrency: int = Field(default=0, ge=0, le=256)
    """Items worked on at once by this server; 0: one less than `ERASER_QUEUE__SLOTS`, at least 1."""
    item_seconds: float = Field(default=300, gt=0)
    """Seconds that one item may take once it has a slot."""
    attempts: int = Field(default=3, ge=1, le=20)
    """Times that an item is begun, should a server die or a model fail on it, before it is given up."""
    lease_seconds: float = Field(default=60, ge=1)
    """Seconds that an item belongs to a server which does not say that it is still there."""
    store: Literal["auto", "files", "database"] = "auto"
    """Where pictures of jobs lie: in the data folder, or in the database. `auto`: files beside SQLite, else there,
    so that several servers need share nothing else."""
    webhook_secret: SecretStr = SecretStr("")
    """Signs webhooks (HMAC-SHA256); jobs cannot ask for one where it is unset."""
    webhook_allow: CommaSeparated = ()
    """Hosts, addresses or networks, comma-separated, that webhooks may go to although they are private."""


class AuthSettings(_Section):
    mode: Literal["off", "optional", "required"] = "off"
    """Whether callers are asked who they are: `off` (one local owner, no limits), `optional` (callers without
    credentials are on the default plan, counted by address), `required`."""
    jwt_secret: SecretStr = SecretStr("")
    """Secret of HS256 tokens, at least 32 bytes; without it or `ERASER_AUTH__JWKS_URL` no token is accepted."""
    jwks_url: str = ""
    """Where the keys of RS256 and ES256 tokens are published, such as `https://id.example/.well-known/jwks.json`."""
    issuer: str = ""
    """The `iss` that tokens must have; required with `ERASER_AUTH__JWKS_URL`."""
    audience: str = ""
    """The `aud` that tokens must have; required with `ERASER_AUTH__JWKS_URL`."""
    leeway_seconds: float = Field(default=30, ge=0, le=60)
    """Seconds by which the clocks of whoever issues tokens and of this server may differ."""
    key_pepper: SecretStr = SecretStr("")
    """Secret with which API keys are digested, at least 32 bytes. Unset beside SQLite, one is made in the data folder;
    with PostgreSQL it must be given, and be the same on all servers."""
    token_seconds: int = Field(default=3600, ge=60)
    """Seconds that tokens made by `magic-eraser tokens issue` are good for, unless it is told otherwise."""


class BillingSettings(_Section):
    provider: Literal["manual", "stripe"] = "manual"
    """How plans are paid for: an admin marks payments, or Stripe (needs the extra `billing`)."""
    grace_days: float = Field(default=7, ge=0)
    """Days that a plan stays after its payment failed or is late."""
    hold_seconds: float = Field(default=900, ge=60)
    """Seconds after which a call that never came to an end, as its server died, gives back what it held."""
    stripe_key: SecretStr = SecretStr("")
    """Secret key of the Stripe account."""
    stripe_webhook_secret: SecretStr = SecretStr("")
    """Signing secret of the webhook at Stripe."""
    stripe_api_base: str = ""
    """Another address of Stripe's API, as for tests; empty for Stripe's own."""
    return_url: str = ""
    """Where Stripe sends a buyer back to: our page; the address of the request where unset."""


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
    """Folder for everything that is kept: database, cache, uploads, results. The user's data folder where unset."""
    plans_file: Path | None = None
    """TOML file of plans; those that come with the program where unset. Read again on SIGHUP."""
    server: ServerSettings = Field(default_factory=ServerSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    queue: QueueSettings = Field(default_factory=QueueSettings)
    models: ModelSettings = Field(default_factory=ModelSettings)
    weights: WeightSettings = Field(default_factory=WeightSettings)
    images: ImageStoreSettings = Field(default_factory=ImageStoreSettings)
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    redis: RedisSettings = Field(default_factory=RedisSettings)
    cache: CacheSettings = Field(default_factory=CacheSettings)
    idempotency: IdempotencySettings = Field(default_factory=IdempotencySettings)
    jobs: JobSettings = Field(default_factory=JobSettings)
    auth: AuthSettings = Field(default_factory=AuthSettings)
    billing: BillingSettings = Field(default_factory=BillingSettings)
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
