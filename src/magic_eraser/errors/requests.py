"""404, 405, 406, 408, 409, 413, 415, 422: the request itself."""

from __future__ import annotations

from magic_eraser.errors.base import EraserError


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
