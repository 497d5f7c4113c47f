"""Two servers that share PostgreSQL and nothing else: a job of one is a job of both."""

from __future__ import annotations

import io
import re
import signal
import threading
import zipfile

import httpx2

from crowd import client_at, follow, over, post_job, wait_until
from ledger import charged, each_once

ITEMS = 14


def begun(server) -> float:
    """Fills of the slow model by this server."""
    text = httpx2.get(f"{server.url}/metrics").text
    found = re.search(r'^eraser_stage_seconds_count{model="slow",stage="inpaint"} (.+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_both_work_on_it_and_what_one_leaves_undone_by_dying_the_other_does(start, new_postgres_url, pair):
    rules = {
        "ERASER_DATABASE__URL": new_postgres_url,
        "ERASER_JOBS__LEASE_SECONDS": "2",
        "ERASER_JOBS__CONCURRENCY": "1",
        "ERASER_CACHE__BACKEND": "null",
    }
    here, there = start(slow=0.5, **rules), start(slow=0.5, **rules)
    assert here.data_dir != there.data_dir
    heard: list[dict] = []
    with client_at(here.url) as client:
        job = post_job(client, *pair, ITEMS, model="slow").json()
    listener = threading.Thread(target=follow, args=(there.url, job, heard))
    listener.start()
    wait_until(lambda: begun(here) >= 2 and begun(there) >= 2)
    here.signal(signal.SIGKILL)
    here.process.wait()
    with client_at(there.url) as client:
        assert not client.get(f"/v1/jobs/{job['id']}").json()["finished_at"]
        done = over(client, job)
        listener.join(10)
        assert (done["state"], done["succeeded"], done["failed"]) == ("succeeded", ITEMS, 0)
        assert [each["number"] for each in heard] == list(range(1, ITEMS + 2))
        assert sorted(each["index"] for each in heard[:-1]) == list(range(ITEMS))
        assert (heard[-1]["event"], heard[-1]["state"]) == ("job", "succeeded")
        pictures = {client.get(f"/v1/jobs/{job['id']}/items/{index}").content for index in range(ITEMS)}
        assert len(pictures) == 1  # the same picture each time
        assert pictures.pop().startswith(b"\x89PNG")
        answer = client.get(f"/v1/jobs/{job['id']}/archive")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == ITEMS + 1
    assert charged(new_postgres_url, job["id"]) == each_once(job["id"], ITEMS)
    assert "Traceback" not in there.log
