"""What can go wrong while weights are fetched: one sentence each, with the way out, English and Chinese."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from magic_eraser.errors import DownloadFailed
from magic_eraser.models.card import WeightFile

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def _host(address: str) -> str:
    """Host and port, without the password that an address may hold."""
    return urlsplit(address).netloc.rpartition("@")[2]


def _shown(address: str) -> str:
    """An address without its password and without its query, which may hold a signature."""
    try:
        return urlsplit(address)._replace(netloc=_host(address), query="", fragment="").geturl()
    except ValueError:  # such as half an IPv6 address
        return address.rpartition("@")[2]


def readable(size: int) -> str:
    """Bytes for people, by powers of ten: "205.7 MB"."""
    if size < 1000:
        return f"{size} bytes"
    value, unit = size / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}"


def offline(files: Sequence[WeightFile], folder: Path) -> DownloadFailed:
    """Downloading is switched off."""
    names = ", ".join(file.name for file in files)
    addresses = " ".join(file.url for file in files if file.url)
    return DownloadFailed(
        f"{names}: not here, and downloading is switched off (ERASER_WEIGHTS__OFFLINE). "
        f"Fetch {addresses} on another machine, and put each under that name into {folder}.",
        f"{names} 不在本机，且已禁止下载（ERASER_WEIGHTS__OFFLINE）。"
        f"请在其他机器上下载 {addresses}，按上述文件名放入 {folder}。",
    )


def no_address(file: WeightFile) -> DownloadFailed:
    """A person's own file that is gone."""
    return DownloadFailed(
        f"{file.name} is a file of your own that is not there any more; put it back, or remove the model "
        "and add it again.",
        f"{file.name} 是您自己添加的文件，但已不存在；请放回原处，或移除该模型后重新添加。",
    )


def not_web(address: str) -> DownloadFailed:
    """Neither http nor https, or no address at all."""
    return DownloadFailed(
        f'"{_shown(address)}" cannot be fetched: only http:// and https:// addresses are. '
        "Check ERASER_WEIGHTS__MIRROR and HF_ENDPOINT.",
        f"无法下载“{_shown(address)}”：只支持 http:// 和 https:// 地址。请检查 ERASER_WEIGHTS__MIRROR 和 HF_ENDPOINT。",
    )


def refused(status: int, address: str, *, hugging_face: bool) -> DownloadFailed:
    """The server answered, but not with the file."""
    host, shown = _host(address), _shown(address)
    if status in {401, 403} and hugging_face:
        page = shown.split("/resolve/", maxsplit=1)[0]
        return DownloadFailed(
            f"{host} gives this file only to people who are logged in (HTTP {status}): accept its terms at {page}, "
            "make an access token there, and set HF_TOKEN to it.",
            f"{host} 要求登录后才能下载（HTTP {status}）：请在 {page} 接受条款并创建访问令牌，再将其设为 HF_TOKEN。",
        )
    if status in {401, 403}:
        return DownloadFailed(
            f"{host} does not let us have {shown} (HTTP {status}). Fetch it in a browser, or name another server in "
            "ERASER_WEIGHTS__MIRROR.",
            f"{host} 拒绝提供 {shown}（HTTP {status}）。"
            "请用浏览器下载，或在 ERASER_WEIGHTS__MIRROR 中指定其他服务器。",
        )
    if status in {404, 410}:
        return DownloadFailed(
            f"{shown} is not there (HTTP {status}). Check ERASER_WEIGHTS__MIRROR if you set it; else the publisher "
            "moved the file.",
            f"{shown} 不存在（HTTP {status}）。如设置了 ERASER_WEIGHTS__MIRROR 请检查；否则是发布者移动了文件。",
        )
    return DownloadFailed(
        f"{host} is busy or has a fault (HTTP {status}). Run the same command again later, and it goes on where "
        "it stopped.",
        f"{host} 繁忙或出现故障（HTTP {status}）。请稍后重新运行同一命令，会从中断处继续。",
    )


def unreachable(address: str, reason: str) -> DownloadFailed:
    """No network, no such host, nobody listening."""
    host = _host(address)
    return DownloadFailed(
        f"{host} cannot be reached ({reason}). Check the connection; behind a proxy set HTTPS_PROXY, or name a server "
        "nearer to you in ERASER_WEIGHTS__MIRROR or HF_ENDPOINT.",
        f"无法连接 {host}（{reason}）。请检查网络；使用代理时请设置 HTTPS_PROXY，"
        "或在 ERASER_WEIGHTS__MIRROR、HF_ENDPOINT 中指定更近的服务器。",
    )


def untrusted(address: str) -> DownloadFailed:
    """The certificate does not check out."""
    host = _host(address)
    return DownloadFailed(
        f"The certificate of {host} is not trusted. If a proxy of your company stands between, set SSL_CERT_FILE to "
        "its certificate.",
        f"{host} 的证书不受信任。如经过公司代理，请将 SSL_CERT_FILE 设为其证书文件。",
    )


def cut_off(file: WeightFile, address: str, *, slow: bool) -> DownloadFailed:
    """The connection broke, or nothing came for too long, and trying again did not help."""
    host = _host(address)
    what, what_zh = ("answered too slowly", "响应过慢") if slow else ("broke the connection", "中断了连接")
    return DownloadFailed(
        f"{host} {what} while it sent {file.name}. What came is kept: run the same command again, and it goes on where "
        "it stopped.",
        f"{host} 在传输 {file.name} 时{what_zh}。已下载的部分会保留：重新运行同一命令即可从中断处继续。",
    )


def unusable_address(address: str, reason: str) -> DownloadFailed:
    """Redirects without end, or to something that is no web address."""
    return DownloadFailed(
        f"{_shown(address)} leads nowhere ({reason}). Check ERASER_WEIGHTS__MIRROR and HF_ENDPOINT.",
        f"{_shown(address)} 无法访问（{reason}）。请检查 ERASER_WEIGHTS__MIRROR 和 HF_ENDPOINT。",
    )


def web_page(address: str) -> DownloadFailed:
    """Such as the login page of a hotel's network."""
    return DownloadFailed(
        f"{_shown(address)} answered with a web page, or with nothing, instead of the file. A network that asks for a "
        "login does that: open a browser, log in, and try again.",
        f"{_shown(address)} 返回的是网页或空内容，而不是文件。需要登录的网络会这样：请打开浏览器登录后重试。",
    )


def wrong_checksum(file: WeightFile, address: str) -> DownloadFailed:
    """The whole file came, and is not the published one."""
    return DownloadFailed(
        f"What {_host(address)} sent is not the published {file.name} (wrong checksum), so it was "
        "thrown away. Try again; if it stays, the server has another file under that name.",
        f"{_host(address)} 发来的内容不是已发布的 {file.name}（校验和不符），已丢弃。"
        "请重试；如仍失败，说明服务器上的文件已被更换。",
    )


def no_room(folder: Path, needed: int, free: int) -> DownloadFailed:
    """Seen ahead: `needed` bytes are to come, `free` are free."""
    return DownloadFailed(
        f"There is not enough room in {folder}: {readable(needed)} are to come, {readable(free)} are free. Make room, "
        "or set ERASER_WEIGHTS__DIR to a folder on another disk.",
        f"{folder} 空间不足：还需 {readable(needed)}，剩余 {readable(free)}。"
        "请清理空间，或将 ERASER_WEIGHTS__DIR 设为其他磁盘上的文件夹。",
    )


def unwritable(folder: Path, error: OSError) -> DownloadFailed:
    """The folder takes no file: full, read-only, somebody else's."""
    if error.errno in NO_ROOM:
        return DownloadFailed(
            f"The disk of {folder} is full. Make room and run the same command again, and it goes on where it stopped; "
            "or set ERASER_WEIGHTS__DIR to a folder on another disk.",
            f"{folder} 所在磁盘已满。请清理空间后重新运行同一命令，会从中断处继续；"
            "或将 ERASER_WEIGHTS__DIR 设为其他磁盘上的文件夹。",
        )
    reason = error.strerror or str(error)
    return DownloadFailed(
        f"Nothing can be written to {folder} ({reason}). Set ERASER_WEIGHTS__DIR to a folder that you may write to.",
        f"无法写入 {folder}（{reason}）。请将 ERASER_WEIGHTS__DIR 设为有写入权限的文件夹。",
    )


def in_use(path: Path) -> DownloadFailed:
    """Somebody asked to remove what another process is just fetching."""
    return DownloadFailed(
        f"{path} is being downloaded by another process just now. Wait for it, or end it.",
        f"{path} 正由另一个进程下载。请等待其完成或将其结束。",
    )
