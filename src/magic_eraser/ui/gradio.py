"""The simple mode at `/ui`: Gradio's own page, and `/predict` for `gradio_client`.

Importing this module imports Gradio (4 s, 250 MB): see `lazy`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

# Before Gradio is imported, and whatever the environment says: nobody is told what happens here.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import gradio as gr
from fastapi import FastAPI
from gradio.i18n import I18nData
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount

from magic_eraser.errors import StorageFull
from magic_eraser.models.catalog import AUTO
from magic_eraser.models.inpainter import Effort
from magic_eraser.service.erase import EraseService
from magic_eraser.service.files import is_full
from magic_eraser.ui.simple_mode import Arrive, Handlers, as_owner
from magic_eraser.ui.simple_mode_guard import GuardedBlocks, OnlyWhatIsUsed
from magic_eraser.ui.simple_mode_text import TEXTS, TITLE, Language, first_language

KEEP_SECONDS = 3600
PREFIX = "me_"  # Gradio has texts of its own under plain names: a key "image" shows as [object Object]
BRUSH = ("#ff2d55", 0.6)

Say = Callable[[str], I18nData]
"""A key of `TEXTS`, to be put into words by the browser."""

CSS = """
.gradio-container { max-width: 1240px !important; width: 100% !important; margin: 0 auto !important; }
#me_title h1 { margin-bottom: 0; font-size: clamp(20px, 5.5vw, 28px); }
#me_result:not(:has(img)), #me_upload_result:not(:has(img)) { min-height: 320px; }
footer { display: none !important; }
"""


def build_app(
    service: EraseService,
    *,
    folder: Path,
    language: Callable[[str], Language] = first_language,
    arrive: Arrive = as_owner,
    max_body_bytes: int | None = None,
) -> FastAPI:
    """The application to mount; its lifespan must be entered, and left in the same task.

    Args:
        service: where every erase goes.
        folder: where uploads and results lie; see `simple_mode_folder`.
        language: Accept-Language header to the language a caller reads.
        arrive: see `simple_mode.Handlers`.
        max_body_bytes: largest file that may be uploaded; None for no limit.
    """
    i18n = _i18n()
    blocks = GuardedBlocks(
        language=language,
        folder=folder,
        title=TITLE,
        analytics_enabled=False,
        delete_cache=(KEEP_SECONDS, KEEP_SECONDS),  # how often files are looked for, at what age deleted
    )
    with blocks:
        model = _fill(Handlers(service, language, folder, arrive), service, i18n)
        # A model may come, or go, while the server runs: each visit finds those of its time.
        blocks.load(
            lambda: gr.Dropdown(choices=_models(service, i18n)),
            outputs=model,
            show_progress="hidden",
            api_visibility="private",
        )
    # The service has the one queue: here everybody passes. Direct posts that skip the queue stay closed.
    blocks.queue(default_concurrency_limit=None, api_open=False)
    return _mount(blocks, i18n, max_body_bytes)


def _mount(blocks: GuardedBlocks, i18n: gr.I18n, max_body_bytes: int | None) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        blocks.close(verbose=False)

    host = FastAPI(openapi_url=None, lifespan=lifespan)
    # Without it Gradio answers every origin with its permission. None is given here; the outer app's own
    # settings decide.
    host.add_middleware(CORSMiddleware)
    host.add_middleware(OnlyWhatIsUsed)
    gr.mount_gradio_app(
        host,
        blocks,
        path="/",
        footer_links=[],
        run_history=False,  # by default every input is kept in the visitor's browser
        show_error=True,
        max_file_size=max_body_bytes,
        ssr_mode=False,
        pwa=False,
        enable_monitoring=False,
        mcp_server=False,
        i18n=i18n,
        theme=gr.themes.Default(primary_hue="rose", radius_size="lg"),
        css=CSS,
    )
    # Gradio checks that a file was uploaded by a visitor only where this is set, and a mount does not set it.
    blocks.has_launched = True
    _tell_a_full_disk(host)
    return host


def _tell_a_full_disk(host: FastAPI) -> None:
    """Gradio's own upload writes files, and leaves the failure of that to whoever is outside."""

    async def refuse(request: Request, error: Exception) -> Response:
        if not (isinstance(error, OSError) and is_full(error)):
            raise error
        chinese = first_language(request.headers.get("accept-language", "")) == "zh"
        return PlainTextResponse(StorageFull().sentence("zh" if chinese else "en"), StorageFull.status)

    for route in host.routes:
        if isinstance(route, Mount) and isinstance(route.app, FastAPI):
            route.app.add_exception_handler(OSError, refuse)


def _i18n() -> gr.I18n:
    english = {PREFIX + key: pair[0] for key, pair in TEXTS.items()}
    chinese = {PREFIX + key: pair[1] for key, pair in TEXTS.items()}
    return gr.I18n(**{"en": english, "zh": chinese, "zh-CN": chinese, "zh-TW": chinese})


def _models(service: EraseService, i18n: gr.I18n) -> list[tuple[I18nData | str, str]]:
    """(what people read, id) of "auto" and of the models that have all they need now."""
    pool = service.pool
    usable = [(card.title, name) for name, card in pool.cards().items() if pool.why_not(name) is None]
    return [(i18n(PREFIX + "auto"), AUTO), *usable]


def _fill(handlers: Handlers, service: EraseService, i18n: gr.I18n) -> gr.Dropdown:
    """The page; returns the choice of the model."""

    def say(key: str) -> I18nData:
        return i18n(PREFIX + key)

    gr.Markdown(f"# {TITLE}", elem_id="me_title")
    gr.Markdown(say("intro"))
    model = gr.Dropdown(
        _models(service, i18n),
        value=AUTO,
        label=say("model"),
        info=say("model_info"),
        elem_id="me_model",
        render=False,
    )
    efforts = [(say(f"effort_{name}"), str(name)) for name in Effort]
    effort = gr.Radio(
        efforts, value=str(Effort.BALANCED), label=say("effort"), elem_id="me_effort", render=False
    )
    grow = gr.Checkbox(label=say("grow"), info=say("grow_info"), elem_id="me_grow", render=False)
    choices = [model, effort, grow]
    with gr.Tabs():
        with gr.Tab(say("tab_paint"), id="paint", elem_id="me_tab_paint"):
            _paint_tab(handlers, say, choices)
        with gr.Tab(say("tab_upload"), id="upload", elem_id="me_tab_upload"):
            _upload_tab(handlers, say, choices)
    with gr.Row():
        for each in choices:
            each.render()
    return model


def _paint_tab(handlers: Handlers, say: Say, choices: list[gr.Component]) -> None:
    with gr.Row():
        with gr.Column():
            editor = gr.ImageEditor(
                label=say("image"),
                placeholder=say("placeholder"),
                sources=["upload", "clipboard"],
                brush=gr.Brush(colors=[BRUSH], default_color=BRUSH, color_mode="fixed"),
                transforms=(),
                layers=False,
                buttons=["fullscreen"],
                height=480,
                format="png",
                elem_id="me_editor",
            )
            erase, clear = _buttons(say, "paint")
        slider, download = _result(say, "result", "download")
    clear.add([editor, slider])
    _forget(clear, download)
    erase.click(
        handlers.paint,
        [editor, *choices],
        [slider, download],
        preprocess=False,
        show_progress_on=slider,
        api_visibility="private",
    )


def _upload_tab(handlers: Handlers, say: Say, choices: list[gr.Component]) -> None:
    with gr.Row():
        with gr.Column():
            with gr.Row():
                image, mask = (
                    gr.Image(
                        label=say(name),
                        placeholder=say("placeholder"),
                        sources=["upload", "clipboard"],
                        height=320,
                        elem_id=f"me_{name}",
                    )
                    for name in ("image", "mask")
                )
            erase, clear = _buttons(say, "upload")
        slider, download = _result(say, "upload_result", "upload_download")
    clear.add([image, mask, slider])
    _forget(clear, download)
    erase.click(
        handlers.upload,
        [image, mask, *choices],
        [slider, download],
        preprocess=False,
        show_progress_on=slider,
        api_visibility="private",
    )
    # `/predict` answers one file, the page shows two.
    gr.Button(visible=False).click(
        handlers.predict,
        [image, mask, choices[0]],
        gr.Image(label="result", visible=False, format="png", type="filepath"),
        preprocess=False,
        api_name="predict",
    )


def _buttons(say: Say, tab: str) -> tuple[gr.Button, gr.ClearButton]:
    with gr.Row():
        erase = gr.Button(say("erase"), variant="primary", elem_id=f"me_{tab}_erase")
        # Not a handler of our own that answers None: that leaves the editor under a spinner.
        clear = gr.ClearButton(value=say("clear"), elem_id=f"me_{tab}_clear", api_visibility="private")
    return erase, clear


def _forget(clear: gr.ClearButton, download: gr.DownloadButton) -> None:
    clear.click(
        lambda: gr.DownloadButton(value=None, interactive=False),
        outputs=download,
        show_progress="hidden",
        api_visibility="private",
    )


def _result(say: Say, slider_id: str, download_id: str) -> tuple[gr.ImageSlider, gr.DownloadButton]:
    with gr.Column():
        slider = gr.ImageSlider(
            label=say("result"),
            format="png",
            interactive=False,
            max_height=480,
            buttons=["fullscreen"],
            elem_id=f"me_{slider_id}",
        )
        download = gr.DownloadButton(say("download"), interactive=False, elem_id=f"me_{download_id}")
    return slider, download
