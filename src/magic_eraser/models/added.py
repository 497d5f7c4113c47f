"""Models that a person added: a small JSON file each in the weights folder, with the weights beside it or elsewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from magic_eraser.errors import ValidationFailed
from magic_eraser.models import wholeness
from magic_eraser.models.download_faults import NO_ROOM
from magic_eraser.models.remote.address import Address
from magic_eraser.models.wholeness import Kind
from magic_eraser.settings import PREFIX
from magic_eraser.telemetry.logging import get_logger

FOLDER = "added"
ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
LINE = 200
"""Most characters of a title or a licence."""

_log = get_logger(__name__)


class Family(StrEnum):
    """What runs an added model."""

    LAMA = "lama"
    MIGAN = "migan"
    ONNX = "onnx"
    TORCHSCRIPT = "torchscript"
    REMOTE = "remote"
    DIFFUSERS = "diffusers"


FILES: dict[Family, tuple[Kind, ...]] = {
    Family.LAMA: (Kind.ZIP, Kind.SAFETENSORS),
    Family.MIGAN: (Kind.ZIP, Kind.SAFETENSORS),
    Family.TORCHSCRIPT: (Kind.ZIP,),
    Family.ONNX: (Kind.ONNX,),
}
"""Kinds of file that a family reads; those that are not here read none."""
ENDINGS = {Kind.ZIP: ".pt", Kind.SAFETENSORS: ".safetensors", Kind.ONNX: ".onnx"}


class NotAModel(ValueError):
    """What was given cannot be added; the message is one sentence that says why.

    Only a person at the command line sees it, so it stands outside the tree of errors.
    """


@dataclass(frozen=True, slots=True)
class AddedModel:
    """A person's own model.

    Attributes:
        id: the name that requests use.
        family: what runs it.
        source: whole path of the file or (diffusers) folder, or (remote) address.
        title, licence: as the person said; "" where nothing was said.
        key_from: name of the environment variable that holds a remote server's key; "" where it wants none.
    """

    id: str
    family: Family
    source: str
    title: str = ""
    licence: str = ""
    key_from: str = ""


def read(folder: Path) -> list[AddedModel]:
    """The models added to a weights folder, by id. What is no entry of ours is logged and skipped.

    Args:
        folder: of the weight store.
    """
    models = []
    for path in sorted(folder.joinpath(FOLDER).glob("*.json")):
        try:
            models.append(_entry(path))
        except (OSError, ValueError, TypeError, KeyError, RecursionError, ValidationFailed) as error:
            _log.warning("added_model_skipped", path=str(path), reason=str(error))
    return models


def add(
    folder: Path,
    model_id: str,
    family: Family,
    source: str,
    title: str = "",
    licence: str = "",
    key_from: str = "",
    link: bool = False,
    taken: Collection[str] = (),
) -> AddedModel:
    """Check what was given, copy it into the weights folder and write its entry.

    Args:
        folder: of the weight store.
        model_id, family, title, licence, key_from: see `AddedModel`.
        source: a file; a folder for diffusers, which is always linked; an address for remote.
        link: leave the file where it is, and use it there.
        taken: ids of the catalogue.

    Raises:
        NotAModel: with what is wrong.
        OSError: the folder may not be written to.
    """
    _check_id(folder, model_id, taken)
    for line in (title, licence):
        if len(line) > LINE or not line.isprintable():
            raise NotAModel(f"A title or licence is one line of at most {LINE} characters.")
    _check_key(key_from, family)
    home = folder / FOLDER
    home.mkdir(parents=True, exist_ok=True)
    if family is Family.REMOTE:
        place = _checked_address(source)
    elif family is Family.DIFFUSERS:
        place = str(_checked_pipeline(Path(source)))
    else:
        found = _checked_file(Path(source), family)
        place = (
            str(Path(source).resolve()) if link else _copy(Path(source), home / (model_id + ENDINGS[found]))
        )
    facts = {"family": family.value, "source": place, "title": title, "licence": licence}
    if key_from:
        facts["key_from"] = key_from
    entry = home / f"{model_id}.json"
    _write_whole(entry, json.dumps(facts, ensure_ascii=False, indent=2) + "\n")
    return _entry(entry)


def remove(folder: Path, model_id: str) -> list[Path]:
    """Forget an added model, and remove its copy; what was linked stays where it is.

    Returns:
        The files that are gone; none where there is no such model.
    """
    if not ID.fullmatch(model_id):
        return []
    home = folder / FOLDER
    candidates = [home / f"{model_id}{ending}" for ending in (".json", *ENDINGS.values())]
    gone = [path for path in candidates if path.is_file()]
    for path in gone:
        path.unlink()
    return gone


def _check_id(folder: Path, model_id: str, taken: Collection[str]) -> None:
    if not ID.fullmatch(model_id):
        raise NotAModel(
            f'"{model_id[:80]}" cannot be an id: use 1 to 64 small letters, digits, dots, dashes and underscores, '
            "the first a letter or digit."
        )
    if folder.joinpath(FOLDER, f"{model_id}.json").exists():
        raise NotAModel(
            f'You added a model "{model_id}" already; choose another id, or type '
            f"magic-eraser models remove {model_id} first."
        )
    if model_id == "auto" or model_id in taken:
        raise NotAModel(f'There is a model "{model_id}" already; choose another id.')


def _checked_address(source: str) -> str:
    try:
        Address.parse(source)
    except ValidationFailed as error:
        raise NotAModel(error.detail) from None
    return source


def _check_key(key_from: str, family: Family) -> None:
    if not key_from:
        return
    if family is not Family.REMOTE:
        raise NotAModel("Only a remote model has a key.")
    if not VARIABLE.fullmatch(key_from) or key_from.startswith(PREFIX):
        raise NotAModel(
            f'"{key_from[:60]}" is no name for the variable of a key: letters, digits and _, and not {PREFIX} first.'
        )


def _checked_pipeline(source: Path) -> Path:
    if not source.is_dir():
        raise NotAModel(
            f"{source} is no folder: a diffusers model is the folder that holds model_index.json."
        )
    try:
        json.loads((source / "model_index.json").read_text("utf-8"))
    except (OSError, ValueError):
        raise NotAModel(
            f"{source} is no diffusers model: it has no model_index.json that can be read."
        ) from None
    return source.resolve()


def _checked_file(source: Path, family: Family) -> Kind:
    if not source.is_file():
        raise NotAModel(f"{source} {'is no file' if source.exists() else 'does not exist'}.")
    if not source.stat().st_size:
        raise NotAModel(f"{source} is empty.")
    found = wholeness.kind(source)
    if found is Kind.PICKLE:
        raise NotAModel(
            f"{source} is a bare pickle, which may run any program when it is read. Save it anew with torch.save of "
            "torch 1.6 or later, or as safetensors."
        )
    if found not in FILES[family]:
        wanted = " or ".join(ENDINGS[kind] for kind in FILES[family])
        raise NotAModel(f"{source} is no file that {family} reads, whatever its name: it wants {wanted}.")
    if not wholeness.is_whole(source):
        raise NotAModel(f"{source} is damaged, or only a part of a file; fetch it again.")
    if family is Family.TORCHSCRIPT and not wholeness.is_torchscript(source):
        raise NotAModel(f"{source} holds tensors and no program: save it with torch.jit.save.")
    return found


def _copy(source: Path, target: Path) -> str:
    """Copy a file, whole or not at all; gives its name."""
    for companion in (f"{source.name}.data", f"{source.name}_data"):
        if source.with_name(companion).exists():
            raise NotAModel(
                f"The tensors of {source.name} are in {companion} beside it; add it with --link, where it lies."
            )
    unfinished = target.with_name(f"{target.name}.part")
    try:
        shutil.copyfile(source, unfinished)
        os.replace(unfinished, target)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        if error.errno in NO_ROOM:
            raise NotAModel(
                f"There is no room for a copy of {source}; make some, or add it with --link."
            ) from error
        raise
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return target.name


def _write_whole(path: Path, text: str) -> None:
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_text(text, "utf-8")
    os.replace(unfinished, path)


def _entry(path: Path) -> AddedModel:
    """Read an entry. A copy's source is its bare name, so that the folder can be moved."""
    facts: Any = json.loads(path.read_text("utf-8"))
    texts = {name: facts[name] for name in ("family", "source", "title", "licence")}
    texts["key_from"] = facts.get("key_from", "")
    if not all(isinstance(text, str) for text in texts.values()):
        raise TypeError("a fact is not a text")
    if not ID.fullmatch(path.stem):
        raise ValueError("its name is no id")
    family = Family(texts["family"])
    source = texts["source"]
    source = source if family is Family.REMOTE else str(path.parent.absolute() / source)
    if family is Family.REMOTE:
        Address.parse(source)
    return AddedModel(path.stem, family, source, texts["title"], texts["licence"], texts["key_from"])
