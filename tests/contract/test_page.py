"""The page as it is served: complete, from here alone, and under a strict policy."""

from __future__ import annotations

import re

from accounts_house import accounts_house


def test_the_page_and_everything_it_names_is_served(client):
    page = client.get("/")

    assert page.headers["content-type"].startswith("text/html")
    assert "<title>Magic Eraser 魔术橡皮擦</title>" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "frame-ancestors" not in policy  # a Space shows us in a frame
    assert page.headers["cache-control"] == "no-cache"
    assert client.head("/").status_code == 200
    named = re.findall(r'(?:src|href)="(\./static/[^"]+)"', page.text)
    assert any(name.endswith(".js") for name in named)
    assert any(name.endswith(".css") for name in named)
    for name in named:
        response = client.get("/" + name.removeprefix("./"))
        assert response.status_code == 200, name
        if "/assets/" in name:
            assert "immutable" in response.headers["cache-control"]


def test_nothing_on_the_page_is_inline_or_from_another_host(client):
    page = client.get("/").text

    assert not re.findall(r"<script(?![^>]*\bsrc=)", page)
    assert not re.findall(r"\son[a-z]+=", page)
    assert not re.findall(r"""(?:src|href|url\()\s*=?\s*["']?(?:https?:)?//""", page)


def test_where_clicks_move_money_no_other_site_may_frame_the_page(tmp_path):
    with accounts_house(tmp_path, mode="optional") as house:
        assert "frame-ancestors 'self'" in house.client.get("/").headers["content-security-policy"]
