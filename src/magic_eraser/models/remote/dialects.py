"""What the two kinds of server are asked, and how they are told apart."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Protocol

from magic_eraser.errors import ModelUnavailable
from magic_eraser.models.inpainter import Effort, InpaintOptions, Sampler
from magic_eraser.models.remote.address import Address
from magic_eraser.models.remote.faults import Reply, plain
from magic_eraser.models.remote.line import Question

Ask = Callable[[Question], Reply]
"""The answer, of status 200, to a question; asked again where that helps."""


class Dialect(Protocol):
    """How a kind of server is spoken to."""

    def greeting(self) -> Question:
        """A question that only this kind of server knows the answer to."""
        ...

    def is_spoken(self, reply: Reply) -> bool:
        """Whether that is the answer of such a server."""
        ...

    def check(self, address: Address, greeted: Reply, ask: Ask) -> None:
        """Whether it is ready for work and has the model.

        Raises:
            ModelUnavailable: it is not, or has not; the sentence says which models there are.
        """
        ...

    def question(self, image: bytes, mask: bytes, model: str, options: InpaintOptions) -> Question:
        """Ask for a fill; `image` and `mask` are PNG files of the same size."""
        ...


class EraserDialect:
    """Ours: `POST /v1/erase`, multipart."""

    def greeting(self) -> Question:
        return Question("GET", "/v1/models")

    def is_spoken(self, reply: Reply) -> bool:
        body = reply.json()
        return isinstance(body, dict) and isinstance(body.get("models"), list) and "default" in body

    def check(self, address: Address, greeted: Reply, ask: Ask) -> None:
        ask(Question("GET", "/readyz"))
        models = {model["id"]: model for model in greeted.json()["models"] if _named(model, "id")}
        if address.model in ("", "auto"):
            return
        model = models.get(address.model)
        if model is None:
            usable = (name for name, facts in models.items() if facts.get("allowed", True))
            raise _no_such_model(address, ["auto", *usable])
        if not model.get("allowed", True):
            why = plain(str(model.get("why_not")))
            raise ModelUnavailable(
                f"The remote server {address} cannot use its model {address.model}: {why}",
                f"远程服务器 {address} 无法使用模型 {address.model}：{why}",
            )

    def question(self, image: bytes, mask: bytes, model: str, options: InpaintOptions) -> Question:
        fields: dict[str, Any] = {"format": "png", "seed": options.seed}
        # What is as it is by default is left out: a server of another version may not know the field.
        asked: dict[str, tuple[Any, Any]] = {
            "model": (model, ""),
            "effort": (options.effort.value, Effort.BALANCED.value),
            "steps": (options.steps, None),
            "sampler": (options.sampler.value, Sampler.PLMS.value),
            "prompt": (options.prompt, ""),
            "negative_prompt": (options.negative_prompt, ""),
        }
        fields |= {name: value for name, (value, usual) in asked.items() if value != usual}
        if options.rough_when_late:
            fields["rough_when_late"] = "true"
        files = {
            "image": ("image.png", image, "image/png"),
            "mask": ("mask.png", mask, "image/png"),
        }
        return Question("POST", "/v1/erase", {"data": fields, "files": files})


class IOPaintDialect:
    """IOPaint 1.6: `POST /api/v1/inpaint`, JSON with base64; the answer is the picture's bytes.

    It has one model at a time, the same for everybody who uses it. A wrong name in a switch leaves it answering 500
    to everyone, and a request during a switch fails, so it is never switched from here.
    """

    def greeting(self) -> Question:
        return Question("GET", "/api/v1/server-config")

    def is_spoken(self, reply: Reply) -> bool:
        body = reply.json()
        return isinstance(body, dict) and isinstance(body.get("modelInfos"), list)

    def check(self, address: Address, greeted: Reply, ask: Ask) -> None:
        current = ask(Question("GET", "/api/v1/model")).json()
        running = current["name"] if _named(current, "name") else "?"
        if address.model in ("", running):
            return
        running = plain(running)
        names = [model["name"] for model in greeted.json()["modelInfos"] if _named(model, "name")]
        if address.model not in names:
            raise _no_such_model(address, names)
        raise ModelUnavailable(
            f"The remote server {address} runs {running}, not {address.model}: choose that one there "
            f"(iopaint start --model {address.model}).",
            f"远程服务器 {address} 当前运行 {running}，而不是 {address.model}："
            f"请在该服务器上选择（iopaint start --model {address.model}）。",
        )

    def question(self, image: bytes, mask: bytes, model: str, options: InpaintOptions) -> Question:
        fields: dict[str, Any] = {
            "image": base64.b64encode(image).decode("ascii"),
            "mask": base64.b64encode(mask).decode("ascii"),
            # One pass over the crop as it is: "Crop" cuts it again and leaves seams, "Resize" wraps bright pixels.
            "hd_strategy": "Original",
            "cv2_radius": options.radius,
            "ldm_sampler": options.sampler.value,
            "sd_seed": options.seed,
            "prompt": options.prompt,
            "negative_prompt": options.negative_prompt,
        }
        if options.steps is not None:
            fields |= {"ldm_steps": options.steps, "sd_steps": options.steps}
        return Question("POST", "/api/v1/inpaint", {"json": fields})


def _named(entry: Any, key: str) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get(key), str)


def _no_such_model(address: Address, names: list[str]) -> ModelUnavailable:
    listed = plain(", ".join(names))
    return ModelUnavailable(
        f"The remote server {address} has no model {address.model[:60]}; it has {listed}.",
        f"远程服务器 {address} 没有模型 {address.model[:60]}；可用：{listed}。",
    )
