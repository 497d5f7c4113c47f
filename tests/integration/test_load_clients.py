"""The clients of the load benchmarks, against servers that answer, hang up and stay away."""

from __future__ import annotations

import asyncio

from load_clients import GAVE_UP, Line, Load, _drive
from load_pictures import post
from server_process import free_port

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Thing: a: b\r\n\r\nok"
REQUEST = post("/", b"")


async def serving(answer):
    """A server that answers each request head with `answer(connection, request)`: bytes, or None to hang up."""
    connections = 0

    async def serve(reader, writer):
        nonlocal connections
        connections += 1
        number, count = connections, 0
        while await reader.readuntil(b"\r\n\r\n"):
            content = answer(number, count)
            count += 1
            if content is None:
                break
            writer.write(content)
        writer.close()

    async def quietly(reader, writer):
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


def story(tell, answer):
    async def run():
        server, port = await serving(answer)
        async with server:
            return await tell(port)

    return asyncio.run(run())


def test_a_whole_answer_comes_back():
    async def tell(port):
        line = Line(port)
        answer = await line.ask(REQUEST, keep_body=True)
        await line.close()
        return answer

    answer = story(tell, lambda *_: ANSWER)
    assert (answer.status, answer.body, answer.headers["x-thing"]) == (200, b"ok", "a: b")


def test_a_line_that_was_closed_while_idle_is_opened_anew():
    async def tell(port):
        line = Line(port)
        statuses = [(await line.ask(REQUEST)).status for _ in range(3)]
        await line.close()
        return statuses

    assert story(tell, lambda _connection, count: ANSWER if count == 0 else None) == [200, 200, 200]


def test_a_server_that_hangs_up_on_everybody_gives_no_answer():
    async def tell(port):
        return (await Line(port).ask(REQUEST)).status

    assert story(tell, lambda *_: None) == GAVE_UP


def test_nor_does_one_that_is_not_there():
    assert asyncio.run(Line(free_port()).ask(REQUEST)).status == GAVE_UP


def test_requests_at_a_rate_do_not_wait_for_answers():
    async def tell(port):
        load = Load(port, [REQUEST], clients=4, seconds=0.5, per_second=200, address="127.0.0.2")
        return await _drive(load)

    answers = story(tell, lambda *_: ANSWER)
    assert {answer.status for answer in answers} == {200}
    assert 80 <= len(answers) <= 104


def test_a_client_that_waits_has_one_request_open():
    async def tell(port):
        return await _drive(Load(port, [REQUEST], clients=2, seconds=0.3, pause=0.05))

    assert 4 <= len(story(tell, lambda *_: ANSWER)) <= 14
