"""`/ui` of a server that asks who calls: the page is open, but it takes and erases nothing without a credential."""

from __future__ import annotations

import httpx2
import numpy as np
import pytest
from PIL import Image

from account_server import AccountServer
from simple_mode_calls import told, uploaded

pytest.importorskip("gradio", reason="the extra `ui` is not installed")
gradio_client = pytest.importorskip("gradio_client")

# Gradio's client speaks by `httpx` and is not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")

UPLOAD = "/ui/gradio_api/upload"
BAD = {
    "none": {},
    "an unknown key": {"Authorization": "Bearer eras_live_" + "a" * 43},
    "a password": {"Authorization": "Basic cm9vdDpyb290"},
    "a name alone": {"X-Forwarded-User": "alice", "Cookie": "user=alice"},
}


class Site:
    """The server, and headers of who may call it."""

    def __init__(self, folder):
        self.server = AccountServer(folder, "required")
        self.server.wait_ready()
        self.url = self.server.url
        self.alice = {"Authorization": f"Bearer {self.server.add_user('alice')}"}  # two calls a day
        self.server.operate("users", "add", "reader", "--plan", "pro")
        self.reader = {"x-api-key": self.server.add_key("reader", "user", "account:read")["key"]}

    def client(self, headers=None):
        return httpx2.Client(base_url=self.url, headers=headers or {}, timeout=60)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    assert "Traceback" not in site.server.log
    assert site.server.stop() == 0


def kept(site):
    """Files that somebody left."""
    return [path for path in (site.server.data_dir / "ui").rglob("*.png") if path.is_file()]


def used(site):
    """Calls of alice."""
    with site.client(site.alice) as client:
        return client.get("/v1/account").json()["today"]["used"]


def test_the_page_itself_is_open_and_tells_nothing(site):
    with site.client() as client:
        assert client.get("/ui/").status_code == 200
        assert "alice" not in client.get("/ui/config").text


@pytest.mark.parametrize("who", BAD)
def test_no_file_is_taken_without_a_credential(site, coffee_png, who):
    with site.client(BAD[who]) as client:
        before = len(kept(site))
        for path in (UPLOAD, f"{UPLOAD}/", f"{UPLOAD}?upload_id=a"):
            refused = client.post(path, files={"files": ("x.png", coffee_png)})
            assert refused.status_code == 401, path
            assert "Traceback" not in refused.text
        assert len(kept(site)) == before


def test_no_file_is_taken_by_a_key_that_may_not_erase(site, coffee_png):
    with site.client(site.reader) as client:
        assert client.post(UPLOAD, files={"files": ("x.png", coffee_png)}).status_code == 403


def test_a_refusal_speaks_the_callers_language(site, coffee_png):
    with site.client({"Accept-Language": "zh-CN"}) as client:
        refused = client.post(UPLOAD, files={"files": ("x.png", coffee_png)})
        assert any("\u4e00" <= letter <= "\u9fff" for letter in refused.text)


@pytest.mark.parametrize("who", BAD)
def test_files_of_another_are_not_erased_on_without_a_credential(site, coffee_png, dot_png, who):
    with site.client(site.alice) as client:
        files = uploaded(client, [coffee_png, dot_png])
    with site.client(BAD[who]) as client:
        answer = told(client, files)
    assert "event: error" in answer
    assert '"path"' not in answer
    assert used(site) == 0


def test_gradios_client_calls_with_a_key_and_is_charged(site, tmp_path, coffee, coffee_png, dot, dot_png):
    for name, content in (("a.png", coffee_png), ("m.png", dot_png)):
        (tmp_path / name).write_bytes(content)
    client = gradio_client.Client(
        f"{site.url}/ui",
        headers=site.alice,
        verbose=False,
        analytics_enabled=False,
        download_files=str(tmp_path / "got"),
    )
    pair = [gradio_client.handle_file(str(tmp_path / name)) for name in ("a.png", "m.png")]

    result = np.asarray(Image.open(client.predict(*pair, "telea", api_name="/predict")))
    assert (result[~dot] == coffee[~dot]).all()
    assert (result[dot] != coffee[dot]).any()
    assert used(site) == 1
    client.predict(*pair, "patch", api_name="/predict")
    with pytest.raises(gradio_client.exceptions.AppError, match="calls a day"):
        client.predict(pair[1], pair[1], "telea", api_name="/predict")
    assert used(site) == 2


def test_of_two_credentials_in_one_request_none_counts(site, coffee_png, dot_png):
    with site.client(site.alice) as client:
        files = uploaded(client, [coffee_png, dot_png])
    bad = ("Authorization", "Bearer nonsense")
    for order in ([*site.alice.items(), bad], [bad, *site.alice.items()]):
        with httpx2.Client(base_url=site.url, headers=order, timeout=60) as client:
            assert "event: error" in told(client, files)
