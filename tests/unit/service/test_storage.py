"""Where things are kept, as the settings say."""

from __future__ import annotations

import pytest

from magic_eraser.db.blobs import DatabaseBlobs, FileBlobs
from magic_eraser.service.storage import blobs_of, database_of
from magic_eraser.settings import DatabaseSettings, JobSettings, Settings

POSTGRES = DatabaseSettings(url="postgresql://u:secret@host/name", timeout_seconds=3, pool_size=4)


def test_the_database_is_a_file_in_the_data_folder_unless_an_address_is_given(tmp_path):
    here = database_of(Settings(data_dir=tmp_path))
    assert here.path == tmp_path / "eraser.db"
    there = database_of(Settings(data_dir=tmp_path, database=POSTGRES))
    assert there.path is None
    assert there.timeout_seconds == 3
    assert there.engine.pool.size() == 4
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("store", "beside_sqlite", "beside_postgres"),
    [
        ("auto", FileBlobs, DatabaseBlobs),
        ("files", FileBlobs, FileBlobs),
        ("database", DatabaseBlobs, DatabaseBlobs),
    ],
)
def test_blobs_lie_where_the_settings_say(tmp_path, store, beside_sqlite, beside_postgres):
    for database, expected in ((DatabaseSettings(), beside_sqlite), (POSTGRES, beside_postgres)):
        settings = Settings(data_dir=tmp_path, database=database, jobs=JobSettings(store=store))
        assert isinstance(blobs_of(settings, database_of(settings)), expected)
