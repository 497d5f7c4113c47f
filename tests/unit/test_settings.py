"""Settings: read, refused with the nearest right name, documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from magic_eraser.errors import SettingsError
from magic_eraser.settings import Settings, fields, variables


def test_the_defaults_need_no_environment():
    settings = Settings.load()

    assert settings.server.port == 7860
    assert settings.queue.slots == 3
    assert settings.queue.deadline_seconds == 30
    assert settings.limits.max_pixels == 50_000_000
    assert settings.data_dir.name == "magic-eraser"


def test_variables_are_read(monkeypatch, tmp_path):
    monkeypatch.setenv("ERASER_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ERASER_SERVER__PORT", "9000")
    monkeypatch.setenv("ERASER_SERVER__CORS_ORIGINS", "https://a.example, https://b.example")
    monkeypatch.setenv("ERASER_LOG__FORMAT", "json")

    settings = Settings.load()

    assert settings.data_dir == Path(tmp_path)
    assert settings.server.port == 9000
    assert settings.server.cors_origins == ("https://a.example", "https://b.example")
    assert settings.log.format == "json"


def test_gradios_own_variables_are_honoured(monkeypatch):
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    monkeypatch.setenv("GRADIO_SERVER_PORT", "8080")
    assert (Settings.load().server.host, Settings.load().server.port) == ("0.0.0.0", 8080)

    monkeypatch.setenv("ERASER_SERVER__PORT", "9000")
    assert Settings.load().server.port == 9000


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("ERASER_SERVER__PROT", "ERASER_SERVER__PORT"),
        ("ERASER_SERVER_PORT", "ERASER_SERVER__PORT"),
        ("ERASER_QUEUE__DEADLINE", "ERASER_QUEUE__DEADLINE_SECONDS"),
        ("ERASER_DATADIR", "ERASER_DATA_DIR"),
    ],
)
def test_a_misspelt_variable_stops_the_start_with_the_right_name(monkeypatch, wrong, right):
    monkeypatch.setenv(wrong, "1")

    with pytest.raises(SettingsError, match=f"{wrong}: did you mean {right}"):
        Settings.load()


def test_a_variable_like_nothing_points_to_the_list(monkeypatch):
    monkeypatch.setenv("ERASER_ZZZ", "1")

    with pytest.raises(SettingsError, match=r"docs/settings\.md"):
        Settings.load()


def test_the_test_suites_own_variables_are_let_alone(monkeypatch):
    monkeypatch.setenv("ERASER_TEST_REDIS_URL", "redis://127.0.0.1")

    Settings.load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ERASER_SERVER__PORT", "many"),
        ("ERASER_SERVER__PORT", "70000"),
        ("ERASER_QUEUE__SLOTS", "0"),
        ("ERASER_LOG__FORMAT", "xml"),
        ("GRADIO_SERVER_PORT", "abc"),
    ],
)
def test_an_unusable_value_is_named(monkeypatch, name, value):
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as caught:
        Settings.load()

    assert name in str(caught.value)


def test_every_setting_is_documented_in_place():
    assert len(list(variables())) == len(set(variables()))
    for name, field in fields():
        assert field.description, name
