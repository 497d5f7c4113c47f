"""Every failure that a caller can see, as one tree.

An error knows its stable `code`, the HTTP `status` it maps to, a sentence for a person in English and
Chinese, a `hint` (the way out), and, where waiting helps, `retry_after` in seconds. Doors render it; they
never invent their own. `docs/errors.md` is generated from this file.
"""

from __future__ import annotations

from collections.abc import Iterator
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


# --- 400: the picture or the mask ---------------------------------------------------------------------


class InvalidImage(EraserError):
    code = "invalid_image"
    status = 400
    title = "The image cannot be read."
    title_zh = "无法读取这张图片。"
    hint = "Open it in a viewer to see whether it is whole, then send it again."
    hint_zh = "请先用看图软件确认文件完整，再重新上传。"


class InvalidMask(EraserError):
    code = "invalid_mask"
    status = 400
    title = "The mask cannot be used."
    title_zh = "无法使用这张蒙版。"
    hint = "Send an image in which white marks what to erase and black what to keep."
    hint_zh = "请提供一张蒙版：白色表示要擦除，黑色表示保留。"


class MaskSizeMismatch(EraserError):
    code = "mask_size_mismatch"
    status = 400
    title = "The mask and the image differ in size."
    title_zh = "蒙版与图片的尺寸不一致。"
    hint = "Send a mask of exactly the image's width and height (after its EXIF orientation)."
    hint_zh = "请提供与图片（按 EXIF 方向旋转后）宽高完全一致的蒙版。"


class EmptyMask(EraserError):
    code = "empty_mask"
    status = 400
    title = "The mask marks nothing to erase."
    title_zh = "蒙版中没有要擦除的区域。"
    hint = "Paint over what should go: white (above 127) erases."
    hint_zh = "请先涂抹要去掉的部分：白色（大于 127）表示擦除。"


class InvalidArchive(EraserError):
    code = "invalid_archive"
    status = 400
    title = "The archive cannot be used."
    title_zh = "无法使用这个压缩包。"
    hint = "Send a plain ZIP with a folder images/ and a folder masks/, paired by name."
    hint_zh = "请提供普通 ZIP 文件，其中 images/ 与 masks/ 两个文件夹内的文件同名配对。"


# --- 401, 402, 403: who calls and what they may ---------------------------------------------------------


class NotAuthenticated(EraserError):
    code = "not_authenticated"
    status = 401
    title = "This server wants to know who calls."
    title_zh = "此服务器需要身份验证。"
    hint = "Send an API key or a token in the Authorization header."
    hint_zh = "请在 Authorization 头中附上 API 密钥或令牌。"


class InvalidToken(NotAuthenticated):
    code = "invalid_token"
    title = "The key or token is not valid."
    title_zh = "密钥或令牌无效。"
    hint = "Check that it was copied whole, or make a new one."
    hint_zh = "请检查是否完整复制，或重新创建一个。"


class TokenExpired(NotAuthenticated):
    code = "token_expired"
    title = "The key or token has expired."
    title_zh = "密钥或令牌已过期。"
    hint = "Make a new one."
    hint_zh = "请重新创建一个。"


class PaymentRequired(EraserError):
    code = "payment_required"
    status = 402
    title = "There is no credit left for this call."
    title_zh = "余额不足，无法完成此次调用。"
    hint = "Add credit or change the plan."
    hint_zh = "请充值或升级套餐。"


class InsufficientScope(EraserError):
    """The credential is good, but not for this (RFC 6750, 3.1)."""

    code = "insufficient_scope"
    status = 403
    title = "The key or token may not do this."
    title_zh = "该密钥或令牌没有此权限。"
    hint = "Use one that has the scope, or ask the operator for it."
    hint_zh = "请使用具有该权限的密钥，或联系管理员。"


class AccountDisabled(EraserError):
    code = "account_disabled"
    status = 403
    title = "This account is disabled."
    title_zh = "此账户已停用。"
    hint = "Ask the operator."
    hint_zh = "请联系管理员。"


class PlanForbidsModel(EraserError):
    code = "plan_forbids_model"
    status = 403
    title = "The plan does not include this model."
    title_zh = "当前套餐不包含此模型。"
    hint = "Choose a model that /v1/models lists as allowed, or change the plan."
    hint_zh = "请选择 /v1/models 中允许使用的模型，或升级套餐。"


class PlanForbidsFeature(EraserError):
    code = "plan_forbids_feature"
    status = 403
    title = "The plan does not include this feature."
    title_zh = "当前套餐不包含此功能。"
    hint = "Change the plan."
    hint_zh = "请升级套餐。"


class ContentBlocked(EraserError):
    code = "content_blocked"
    status = 403
    title = "The content filter refused this picture."
    title_zh = "内容过滤器拒绝了这张图片。"
    hint = "Use another picture."
    hint_zh = "请换一张图片。"


# --- 404, 408, 409, 413, 415, 422: the request itself --------------------------------------------------------


class UnknownModel(EraserError):
    code = "unknown_model"
    status = 404
    title = "There is no model of that name."
    title_zh = "没有这个名称的模型。"
    hint = 'See /v1/models or "magic-eraser models list", or use "auto".'
    hint_zh = "请查看 /v1/models，或使用 auto。"


class NotFound(EraserError):
    code = "not_found"
    status = 404
    title = "There is nothing here."
    title_zh = "这里什么也没有。"
    hint = "Check the address; uploads are gone after their time to live."
    hint_zh = "请检查地址；上传的图片过期后会被删除。"


class MethodNotAllowed(EraserError):
    code = "method_not_allowed"
    status = 405
    title = "This address does not answer that method."
    title_zh = "此地址不支持该请求方法。"
    hint = "See /docs for the methods of each address."
    hint_zh = "请在 /docs 查看支持的方法。"


class RequestTimeout(EraserError):
    code = "request_timeout"
    status = 408
    title = "The request body came too slowly."
    title_zh = "请求内容上传过慢。"
    hint = "Send it again over a better connection, or send a smaller file."
    hint_zh = "请在网络更好时重试，或使用更小的文件。"


class IdempotencyInFlight(EraserError):
    code = "idempotency_in_flight"
    status = 409
    title = "A request with this Idempotency-Key is still running."
    title_zh = "使用同一 Idempotency-Key 的请求仍在处理。"
    hint = "Wait for it, then ask again with the same key."
    hint_zh = "请等待其完成后，用同一个键再次请求。"
    usual_wait = 2.0


class Conflict(EraserError):
    """Somebody else changed the same thing at the same time, or it is already as asked."""

    code = "conflict"
    status = 409
    title = "That does not go with how things are now."
    title_zh = "与当前状态冲突。"
    hint = "Look at it again, then decide anew."
    hint_zh = "请刷新后重新操作。"


class BodyTooLarge(EraserError):
    code = "body_too_large"
    status = 413
    title = "The request body is too large."
    title_zh = "请求内容过大。"
    hint = "Send a smaller file, or ask the operator to raise ERASER_LIMITS__MAX_BODY_BYTES."
    hint_zh = "请使用更小的文件，或联系管理员提高上限。"


class ImageTooLarge(EraserError):
    code = "image_too_large"
    status = 413
    title = "The image has too many pixels."
    title_zh = "图片像素过多。"
    hint = "Scale it down, or ask the operator to raise ERASER_LIMITS__MAX_PIXELS."
    hint_zh = "请缩小图片，或联系管理员提高上限。"


class BatchTooLarge(EraserError):
    code = "batch_too_large"
    status = 413
    title = "The batch is too large."
    title_zh = "批量任务过大。"
    hint = "Split it into several jobs."
    hint_zh = "请拆分成多个任务。"


class UnsupportedFormat(EraserError):
    code = "unsupported_format"
    status = 415
    title = "The file format is not supported."
    title_zh = "不支持此文件格式。"
    hint = "Send PNG, JPEG, WebP, AVIF, BMP, TIFF or GIF."
    hint_zh = "请使用 PNG、JPEG、WebP、AVIF、BMP、TIFF 或 GIF。"


class ValidationFailed(EraserError):
    code = "validation_failed"
    status = 422
    title = "The request does not have the expected fields."
    title_zh = "请求字段不符合要求。"
    hint = "See errors for each field, and /docs for the whole list."
    hint_zh = "请查看 errors 中每个字段的说明，以及 /docs。"


class IdempotencyMismatch(EraserError):
    code = "idempotency_mismatch"
    status = 422
    title = "This Idempotency-Key was used for another request."
    title_zh = "此 Idempotency-Key 已用于其他请求。"
    hint = "Use a fresh key for a new request."
    hint_zh = "请为新请求使用新的键。"


# --- 429, 503, 504, 507: limits and load ---------------------------------------------------------------------


class RateLimited(EraserError):
    code = "rate_limited"
    status = 429
    title = "Too many requests in a short time."
    title_zh = "请求过于频繁。"
    hint = "Wait as long as Retry-After says."
    hint_zh = "请按 Retry-After 的时间等待后再试。"


class QuotaExhausted(EraserError):
    code = "quota_exhausted"
    status = 429
    title = "The calls of this plan are used up for now."
    title_zh = "当前套餐的调用次数已用完。"
    hint = "Wait as long as Retry-After says, or change the plan."
    hint_zh = "请按 Retry-After 的时间等待，或升级套餐。"


class QueueFull(EraserError):
    code = "queue_full"
    status = 503
    title = "The queue is full."
    title_zh = "排队人数已满。"
    hint = "Try again after Retry-After seconds."
    hint_zh = "请稍后再试。"


class Draining(EraserError):
    code = "draining"
    status = 503
    title = "The server is shutting down and takes no new work."
    title_zh = "服务器正在关闭，不再接收新任务。"
    hint = "Try again after Retry-After seconds; another instance will answer."
    hint_zh = "请稍后再试。"
    usual_wait = 5.0


class ProviderUnavailable(EraserError):
    """Whom we ask about payments or tokens does not answer."""

    code = "provider_unavailable"
    status = 503
    title = "A service that this needs does not answer."
    title_zh = "所依赖的外部服务暂时无法访问。"
    hint = "Try again after Retry-After seconds; nothing was charged."
    hint_zh = "请稍后再试；本次未扣费。"
    usual_wait = 10.0


class StorageUnavailable(EraserError):
    """The database cannot be reached, or is held by somebody else for too long. Work that needs none goes on."""

    code = "storage_unavailable"
    status = 503
    title = "The server's database cannot be reached right now."
    title_zh = "服务器的数据库暂时无法访问。"
    hint = "Try again after Retry-After seconds; nothing was charged."
    hint_zh = "请稍后再试；本次未扣费。"
    usual_wait = 5.0


class ModelUnavailable(EraserError):
    code = "model_unavailable"
    status = 503
    title = "The model cannot be used right now."
    title_zh = "该模型暂时不可用。"
    hint = 'Try again later, or use model "auto".'
    hint_zh = "请稍后再试，或使用 auto 模型。"
    usual_wait = 60.0


class ModelNotReady(ModelUnavailable):
    """It lacks something that an operator can give it: weights, a package, consent to its licence."""

    title = "The model lacks something on this server."
    title_zh = "服务器缺少使用该模型所需的条件。"
    hint = 'Until then, use model "auto" or another one.'
    hint_zh = "在此之前，请使用 auto 或其他模型。"
    usual_wait = 600.0


class UnusableOutput(ModelUnavailable):
    """A network's answer is no picture: not a number, or of a wrong size. The service falls back where it may."""

    title = "The model's answer is not a picture."
    title_zh = "该模型的输出无法使用。"


class OutOfMemory(ModelUnavailable):
    """There was not enough memory, of the device or the machine, however little was asked for."""

    title = "There is not enough memory for this model."
    title_zh = "内存不足，无法运行该模型。"
    hint = 'Erase a smaller area, or use model "auto".'
    hint_zh = "请缩小擦除范围，或使用 auto 模型。"


class DownloadFailed(ModelUnavailable):
    """Weights could not be fetched; the detail says why, and what to do about that."""

    code = "download_failed"
    title = "The weights could not be downloaded."
    title_zh = "权重下载失败。"
    hint = '"magic-eraser models show" says where each file comes from, and where to put it by hand.'
    hint_zh = "运行 magic-eraser models show 可查看文件来源以及手动存放的位置。"


class DeadlineExceeded(EraserError):
    code = "deadline_exceeded"
    status = 504
    title = "The time limit passed before the picture was done (timeout)."
    title_zh = "处理超时，未能在时限内完成。"
    hint = "Erase a smaller area, choose a faster model, or try again when it is quieter."
    hint_zh = "请缩小擦除范围、选择更快的模型，或稍后再试。"


class StorageFull(EraserError):
    """No room on the disk or in the database (RFC 4918, 11.5)."""

    code = "storage_full"
    status = 507
    title = "The server has no room left to keep this."
    title_zh = "服务器存储空间不足。"
    hint = "Try again later; the operator has to make room."
    hint_zh = "请稍后再试；管理员需要清理空间。"
    usual_wait = 60.0


class Cancelled(EraserError):
    """The caller went away; seen in logs, since nobody is left to read the answer.

    499 is the status by which nginx logs a closed connection; no RFC defines it.
    """

    code = "cancelled"
    status = 499
    title = "The caller cancelled the request."
    title_zh = "请求已取消。"
    hint = "Send it again if that was not meant."
    hint_zh = "如非本意，请重新提交。"


def error_types() -> list[type[EraserError]]:
    """Every error of the tree that has a code of its own, by status, then in the order written here."""

    def walk(base: type[EraserError]) -> Iterator[type[EraserError]]:
        for child in base.__subclasses__():
            yield child
            yield from walk(child)

    ours = (kind for kind in walk(EraserError) if kind.__module__ == __name__ and "code" in vars(kind))
    return sorted(ours, key=lambda kind: kind.status)
