"""Structured logs: a static event name, data as fields, ids and never pixels."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Literal

import structlog


def configure(
    level: str = "info", format: Literal["console", "json"] = "console", file: Path | None = None
) -> None:
    """Route structlog and the standard library's loggers through one formatter.

    Args:
        level: debug, info, warning or error.
        format: for people, or one JSON object a line.
        file: appended to; standard error where None. Its folder must exist.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    handler: logging.Handler = (
        logging.FileHandler(file, encoding="utf-8") if file else logging.StreamHandler(sys.stderr)
    )
    last: list[structlog.typing.Processor]
    if format == "json":
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        colours = file is None and sys.stderr.isatty()
        plain = structlog.dev.plain_traceback
        last = [structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=plain)]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    _through_the_standard_library([*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter])


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for a module: `get_logger(__name__)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _through_the_standard_library(processors: list[structlog.typing.Processor]) -> None:
    structlog.configure(
        processors=processors,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


if not structlog.is_configured():
    # As a library, until somebody configures: structlog's own default prints everything on standard output, where a
    # program's results go. The standard library's shows warnings on standard error and heeds the host's handlers.
    _through_the_standard_library(
        [
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ]
    )
