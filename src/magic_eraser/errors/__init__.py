"""Every failure that a caller can see, as one tree.

An error knows its stable `code`, the HTTP `status` it maps to, a sentence for a person in English and
Chinese, a `hint` (the way out), and, where waiting helps, `retry_after` in seconds. Doors render it; they
never invent their own. `docs/errors.md` is generated from it. Read `base`, then one file for each group of
statuses.
"""

from __future__ import annotations

from collections.abc import Iterator

from magic_eraser.errors.base import EraserError, InternalError, SettingsError
from magic_eraser.errors.callers import (
    AccountDisabled,
    ContentBlocked,
    InsufficientScope,
    InvalidToken,
    NotAuthenticated,
    PaymentRequired,
    PlanForbidsFeature,
    PlanForbidsModel,
    TokenExpired,
)
from magic_eraser.errors.load import (
    Cancelled,
    DeadlineExceeded,
    DownloadFailed,
    Draining,
    ModelNotReady,
    ModelUnavailable,
    OutOfMemory,
    ProviderUnavailable,
    QueueFull,
    QuotaExhausted,
    RateLimited,
    StorageFull,
    StorageUnavailable,
    UnusableOutput,
)
from magic_eraser.errors.pictures import (
    EmptyMask,
    InvalidArchive,
    InvalidImage,
    InvalidMask,
    MaskSizeMismatch,
)
from magic_eraser.errors.requests import (
    BatchTooLarge,
    BodyTooLarge,
    Conflict,
    IdempotencyInFlight,
    IdempotencyMismatch,
    ImageTooLarge,
    MethodNotAllowed,
    NotFound,
    RequestTimeout,
    UnknownModel,
    UnsupportedFormat,
    ValidationFailed,
)

__all__ = [
    "AccountDisabled",
    "BatchTooLarge",
    "BodyTooLarge",
    "Cancelled",
    "Conflict",
    "ContentBlocked",
    "DeadlineExceeded",
    "DownloadFailed",
    "Draining",
    "EmptyMask",
    "EraserError",
    "IdempotencyInFlight",
    "IdempotencyMismatch",
    "ImageTooLarge",
    "InsufficientScope",
    "InternalError",
    "InvalidArchive",
    "InvalidImage",
    "InvalidMask",
    "InvalidToken",
    "MaskSizeMismatch",
    "MethodNotAllowed",
    "ModelNotReady",
    "ModelUnavailable",
    "NotAuthenticated",
    "NotFound",
    "OutOfMemory",
    "PaymentRequired",
    "PlanForbidsFeature",
    "PlanForbidsModel",
    "ProviderUnavailable",
    "QueueFull",
    "QuotaExhausted",
    "RateLimited",
    "RequestTimeout",
    "SettingsError",
    "StorageFull",
    "StorageUnavailable",
    "TokenExpired",
    "UnknownModel",
    "UnsupportedFormat",
    "UnusableOutput",
    "ValidationFailed",
    "error_types",
]


def error_types() -> list[type[EraserError]]:
    """Every error of the tree that has a code of its own, by status, then in the order in which they are written."""

    def walk(base: type[EraserError]) -> Iterator[type[EraserError]]:
        for child in base.__subclasses__():
            yield child
            yield from walk(child)

    ours = (
        kind for kind in walk(EraserError) if kind.__module__.startswith(__name__) and "code" in vars(kind)
    )
    return sorted(ours, key=lambda kind: kind.status)
