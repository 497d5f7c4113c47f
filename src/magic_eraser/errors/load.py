"""429, 499, 503, 504, 507: limits, load, and what is away."""

from __future__ import annotations

from magic_eraser.errors.base import EraserError


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
