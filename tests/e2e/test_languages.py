"""English and Chinese: by the browser, by the switch, and from the server too."""

from __future__ import annotations


def test_a_chinese_browser_gets_chinese(open_studio, coffee_file):
    studio = open_studio(locale="zh-CN", color_scheme="dark", quick=False)
    assert studio.page.title() == "Magic Eraser 魔术橡皮擦"
    assert studio.page.evaluate("document.documentElement.lang") == "zh-CN"
    assert "选择照片" in studio.part("choose").inner_text()
    studio.page.wait_for_timeout(2600)
    studio.shot("chinese-1-start-dark")
    studio.load(coffee_file)
    assert studio.part("erase").inner_text() == "开始处理"
    assert studio.part("clear").inner_text() == "清除"
    assert studio.part("undo").get_attribute("aria-label") == "撤销"
    studio.stroke((352, 262), (384, 300))
    studio.erase()
    assert "完成" in studio.part("whisper").inner_text()
    studio.shot("chinese-2-erased-dark")


def test_the_switch_changes_everything_at_once_and_is_remembered(studio):
    assert "Choose a photo" in studio.part("choose").inner_text()
    studio.part("language").click()
    assert "选择照片" in studio.part("choose").inner_text()
    studio.page.reload()
    assert "选择照片" in studio.part("choose").inner_text()
    assert studio.page.evaluate("document.documentElement.lang") == "zh-CN"
    studio.part("settings").click()
    studio.part("language-en").click()
    assert "Choose a photo" in studio.part("choose").inner_text()


def test_the_server_answers_in_the_chosen_language(studio):
    studio.part("language").click()
    studio.choose({"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"})
    studio.part("error").wait_for()
    assert any("\u4e00" <= letter <= "\u9fff" for letter in studio.part("error").inner_text())
