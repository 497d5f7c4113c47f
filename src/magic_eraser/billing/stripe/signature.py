"""Whether a webhook comes from Stripe (docs.stripe.com/webhooks#verify-manually)."""

from __future__ import annotations

from magic_eraser.billing.stripe.link import load
from magic_eraser.errors import ValidationFailed

TOLERANCE = 300
"""Seconds that a signature is good for: a copy of an old request is no event."""


class NotFromStripe(ValidationFailed):
    """Its signature is missing, forged or old. Nothing of it was looked at."""

    status = 400
    title = "This webhook is not signed by Stripe for this server, or was signed too long ago."
    title_zh = "此 Webhook 的签名无效、不属于本服务器或已过期。"
    hint = "ERASER_BILLING__STRIPE_WEBHOOK_SECRET has to be the signing secret of this endpoint (docs/stripe.md)."
    hint_zh = "请确认 ERASER_BILLING__STRIPE_WEBHOOK_SECRET 是此端点的签名密钥（见 docs/stripe.md）。"


def check(body: bytes, signature: str | None, secret: str) -> None:
    """Look at the bytes as they came.

    Args:
        signature: the header `Stripe-Signature`.
        secret: of the endpoint, `whsec_...`.

    Raises:
        NotFromStripe: what else it may be.
    """
    stripe = load()
    try:
        stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE)
    except (
        stripe.SignatureVerificationError,
        ValueError,
        TypeError,
    ):  # not UTF-8; a header that is not ASCII
        raise NotFromStripe from None
