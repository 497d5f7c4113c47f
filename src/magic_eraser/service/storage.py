"""Where things are kept, as the settings say. Does no I/O."""

from __future__ import annotations

from magic_eraser.db.blobs import Blobs, DatabaseBlobs, FileBlobs
from magic_eraser.db.database import Database
from magic_eraser.settings import Settings


def database_of(settings: Settings) -> Database:
    """`ERASER_DATABASE__URL`, or the file `eraser.db` in the data folder.

    Raises:
        SettingsError: it cannot be used.
    """
    url = settings.database.url.get_secret_value()
    timeout = settings.database.timeout_seconds
    if not url:
        return Database.in_folder(settings.data_dir, timeout_seconds=timeout)
    return Database(url, timeout_seconds=timeout, pool_size=settings.database.pool_size)


def blobs_of(settings: Settings, database: Database) -> Blobs:
    """`ERASER_JOBS__STORE`: files in `blobs/` of the data folder, or the database."""
    store = settings.jobs.store
    if store == "files" or (store == "auto" and database.is_sqlite):
        return FileBlobs(settings.data_dir / "blobs")
    return DatabaseBlobs(database)
