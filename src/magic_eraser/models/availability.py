"""Whether a model can be used on this machine, and what to do where it cannot."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, Protocol

from magic_eraser.errors import ModelNotReady
from magic_eraser.models.card import ModelCard, WeightFile


@dataclass(frozen=True, slots=True)
class WhyNot:
    """What a model lacks, and the way out, in one sentence each.

    Attributes:
        code: for programs.
        message, message_zh: for people.
    """

    code: Literal["licence", "package", "weights"]
    message: str
    message_zh: str

    def error(self, model_id: str) -> ModelNotReady:
        """The same as the answer to a request for the model."""
        return ModelNotReady(
            f'The model "{model_id}" cannot be used here yet. {self.message}',
            f"模型“{model_id}”暂时无法使用。{self.message_zh}",
        )


class Shelf(Protocol):
    """Where weights lie; `weights.WeightStore` is one."""

    def missing(self, card: ModelCard) -> list[WeightFile]:
        """Those of the card's files that are not there."""
        ...


def why_not(card: ModelCard, shelf: Shelf, accepted: Collection[str]) -> WhyNot | None:
    """What the model lacks here; None where it can be loaded. Looks at the disk, imports nothing.

    Args:
        card: of the model.
        shelf: where weights lie.
        accepted: names of licences that the operator accepted (`ERASER_MODELS__ACCEPTED_LICENCES`).
    """
    if card.must_accept and card.licence not in accepted:
        return WhyNot(
            "licence",
            f"Its licence ({card.licence}) limits what it may be used for; to accept it, set "
            f"ERASER_MODELS__ACCEPTED_LICENCES={card.licence}.",
            f"其许可证（{card.licence}）限制使用范围；如接受，请设置 ERASER_MODELS__ACCEPTED_LICENCES={card.licence}。",
        )
    absent = [name for name in card.needs if find_spec(name) is None]
    if absent:
        command = f"pip install 'magic-eraser[{card.extra}]'"
        return WhyNot(
            "package",
            f"It needs {', '.join(absent)}: {command}.",
            f"缺少 {', '.join(absent)}：请运行 {command}。",
        )
    missing = shelf.missing(card)
    if missing and card.added:
        names, command = ", ".join(file.name for file in missing), f"magic-eraser models remove {card.id}"
        return WhyNot(
            "weights",
            f"Its file is not there any more: put {names} back, or forget the model: {command}.",
            f"其文件已不存在：请放回 {names}，或移除该模型：{command}。",
        )
    if missing:
        command = f"magic-eraser models download {card.id}"
        return WhyNot(
            "weights",
            f"Its weights are not here yet: {command}.",
            f"尚未下载权重：请运行 {command}。",
        )
    return None
