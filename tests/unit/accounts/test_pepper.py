"""The secret with which keys are digested."""

from __future__ import annotations

import hashlib
import hmac
import threading

import pytest

from magic_eraser.accounts.keys.pepper import Pepper, load
from magic_eraser.errors import SettingsError
from magic_eraser.settings import AuthSettings

SECRET = "only for this test, and long enough"
NONE = AuthSettings()


def test_it_is_made_once_beside_sqlite_for_its_owner_only(tmp_path):
    folder = tmp_path / "data"
    first = load(NONE, folder, is_sqlite=True)
    assert [path.name for path in folder.iterdir()] == ["key_pepper"]
    assert (folder / "key_pepper").stat().st_mode & 0o777 == 0o600
    again = load(NONE, folder, is_sqlite=True)
    assert (again.id, again.digest("x")) == (first.id, first.digest("x"))
    assert load(NONE, tmp_path / "other", is_sqlite=True).id != first.id


def test_of_many_servers_that_start_at_once_all_have_the_same(tmp_path):
    found, ready = [], threading.Barrier(8)

    def start() -> None:
        ready.wait()
        found.append(load(NONE, tmp_path, is_sqlite=True).digest("x"))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["key_pepper"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_one_that_others_can_read_or_write_is_refused(tmp_path, mode):
    load(NONE, tmp_path, is_sqlite=True)
    (tmp_path / "key_pepper").chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600"):
        load(NONE, tmp_path, is_sqlite=True)


def test_one_that_is_cut_short_is_not_replaced_behind_ones_back(tmp_path):
    (tmp_path / "key_pepper").touch(mode=0o600)
    with pytest.raises(SettingsError, match="cut short"):
        load(NONE, tmp_path, is_sqlite=True)
    assert (tmp_path / "key_pepper").read_bytes() == b""


def test_where_it_cannot_be_kept_the_sentence_says_so(tmp_path):
    (tmp_path / "data").write_text("a file, no folder")
    with pytest.raises(SettingsError, match="ERASER_AUTH__KEY_PEPPER"):
        load(NONE, tmp_path / "data", is_sqlite=True)


def test_beside_postgresql_it_must_be_given(tmp_path):
    with pytest.raises(SettingsError, match="same on all servers"):
        load(NONE, tmp_path, is_sqlite=False)
    assert list(tmp_path.iterdir()) == []
    given = load(AuthSettings(key_pepper=SECRET), tmp_path, is_sqlite=False)
    assert given.digest("a key") == hmac.new(SECRET.encode(), b"a key", hashlib.sha256).hexdigest()
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_given_goes_before_the_file(tmp_path):
    file = load(NONE, tmp_path, is_sqlite=True)
    assert load(AuthSettings(key_pepper=SECRET), tmp_path, is_sqlite=True).id == Pepper(SECRET.encode()).id
    assert load(NONE, tmp_path, is_sqlite=True).id == file.id


def test_a_short_one_is_refused_and_none_is_ever_shown(tmp_path):
    with pytest.raises(SettingsError) as raised:
        Pepper(b"short secret")
    assert "short secret" not in str(raised.value)
    pepper = Pepper(SECRET.encode())
    assert len(pepper.id) == 8
    assert SECRET not in f"{pepper} {pepper!r} {vars(Pepper)}"
    assert pepper.digest("a") != pepper.digest("b")
