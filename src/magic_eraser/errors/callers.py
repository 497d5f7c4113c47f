"""401, 402, 403: who calls, and what they may."""

from __future__ import annotations

from magic_eraser.errors.base import EraserError


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
