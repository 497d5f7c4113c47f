"""What every error has: a code, a status, a sentence and the way out, in two languages."""

from __future__ import annotations

from typing import Any, ClassVar


class SettingsError(ValueError):
    """The environment holds something that cannot be used; the message is one readable line per fault.

    It stops a start and never reaches a caller, so it stands outside the tree.
    """


class EraserError(Exception):
    """Base of the tree; `detail` says what happened in this one case, values filled in.

    Args:
        detail: one English sentence about this case; the class's `title` where omitted.
        detail_zh: the same in Chinese; the class's `title_zh` where omitted.
        retry_after: seconds after which the same request may succeed; the class's `usual_wait` where omitted, which
            is None where waiting does not help.
        extra: further members for the wire (JSON values), such as `errors` or `limit`.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong on our side."
    title_zh: ClassVar[str] = "服务器内部出错了。"
    hint: ClassVar[str] = "Try again; if it stays, report it with the request id."
    hint_zh: ClassVar[str] = "请重试；如果仍然失败，请附上请求编号反馈给我们。"
    usual_wait: ClassVar[float | None] = None

    def __init__(
        self,
        detail: str | None = None,
        detail_zh: str | None = None,
        *,
        retry_after: float | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        self.detail = detail or self.title
        self.detail_zh = detail_zh or self.title_zh
        self.retry_after = self.usual_wait if retry_after is None else retry_after
        self.extra = extra or {}
        super().__init__(self.detail)

    def sentence(self, language: str = "en") -> str:
        """The detail and the way out, in `language` ("en" or "zh")."""
        if language == "zh":
            return f"{self.detail_zh}{self.hint_zh}"
        return f"{self.detail} {self.hint}"


class InternalError(EraserError):
    """A defect of ours; nothing of the cause leaves the process."""

    code = "internal"
