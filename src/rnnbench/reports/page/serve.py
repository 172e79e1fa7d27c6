"""`rnnbench serve`: the report page over HTTP for as long as the command runs, made anew when records change.

Standard library only, loopback by default, two addresses: `/` is the page, `/state` says which state of the store it
would show. Requests under another host's name are refused, so that no page elsewhere can read this one by its browser.
A connection is a thread; there are at most so many, and none may take as long as it likes (`Server`).
"""

from __future__ import annotations

import contextlib
import hashlib
import html
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rnnbench.errors import BadInput
from rnnbench.store.folder import Results
from rnnbench.store.published import RECORDS, own_published
from rnnbench.store.record import RecordError
from rnnbench.store.store import Store

LOOPBACK = ("localhost", "127.0.0.1", "::1")

MOST_OPEN = 128  # connections at once, each with a thread
REQUEST_SECONDS = 5.0  # what a reader may take to say what it wants
ANSWER_SECONDS = 60.0  # and to take the answer
SLOW_SECONDS = 5.0  # after which the answer's place goes to another reader, if there is no other
ROOM_SECONDS = 0.2  # between two looks for room where everybody is being answered

WAITING = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="{wait}"><title>rnnbench</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'"><p>{text}</p><p>This page looks again.</p>
"""


def state(results: Results, others: Sequence[Store | Path] = ()) -> str:
    """What changes when a record, a sweep's manifest or a published set appears, changes or goes: one stat a run.

    others: stores and folders of published sets elsewhere, which the page is about as well.
    """
    digest = hashlib.sha256()
    stores = {store.root: store for store in (Store(results.runs), *others) if isinstance(store, Store)}
    for store in stores.values():
        for run in sorted(_names(store.root)):
            _add(digest.update, store.record_path(run))
        for path in store.results.manifests():
            _add(digest.update, path)
    for folder in (*own_published(results).values(), *others):
        if not isinstance(folder, Store):
            _add(digest.update, folder / RECORDS)
    return digest.hexdigest()[:16]


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(folder)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _add(update: Callable[[bytes], None], path: Path) -> None:
    try:
        stat = os.stat(path)
    except OSError:
        return
    update(f"{path}\0{stat.st_mtime_ns}\0{stat.st_size}\0{stat.st_ino}\n".encode("utf-8", "surrogateescape"))


@dataclass
class Page:
    """The newest page that there is, made anew in the background when its state has gone by.

    make: state -> HTML; BadInput while there is nothing. A request waits at most `patience` seconds for a newer page;
    then it has the one before, or where there is none yet, a word that it is being made.
    results, others: what a change is looked for in; see `state`.
    """

    results: Results
    make: Callable[[str], str]
    others: Sequence[Store | Path] = ()
    patience: float = 0.7
    lock: threading.Lock = field(default_factory=threading.Lock)
    made: tuple[str, str] | None = None
    making: Future[str] | None = None

    def html(self) -> str:
        """The page to show now."""
        try:
            return self._newest()[1]
        except TimeoutError:
            return WAITING.format(wait=1, text="The page is being made from the records.")
        except (BadInput, RecordError) as error:  # a sweep that has not finished its first run
            return WAITING.format(wait=4, text=html.escape(str(error)))

    def state(self) -> str:
        """The state of the page that `html` would show: a reader loads it again only once there is another."""
        try:
            return self._newest()[0]
        except (TimeoutError, BadInput, RecordError):
            return state(self.results, self.others)

    def begin(self) -> Future[str] | None:
        """Begin to make the page of today's state, if it is not made; what is being made."""
        now = state(self.results, self.others)
        with self.lock:
            if self.making is None and (self.made is None or self.made[0] != now):
                self.making = Future()
                threading.Thread(target=self._make, args=(now, self.making), daemon=True).start()
            return self.making

    def _newest(self) -> tuple[str, str]:
        """State and page. Raises TimeoutError where there is none yet, and what making it raised."""
        if (making := self.begin()) is not None:
            try:
                making.result(timeout=self.patience)
            except TimeoutError:
                if self.made is None:
                    raise
        assert self.made is not None  # result() has raised, or it is there
        return self.made

    def _make(self, now: str, making: Future[str]) -> None:
        try:
            text = self.make(now)
        except BaseException as error:
            with self.lock:
                self.making = None
            making.set_exception(error)
        else:
            with self.lock:
                self.made, self.making = (now, text), None
            making.set_result(text)


@dataclass
class Connection:
    """One that is open. until: when its time is over (`time.monotonic`); asked: its request has come, whole."""

    socket: socket.socket
    until: float
    asked: bool = False


class Server(ThreadingHTTPServer):
    """A thread a connection, up to MOST_OPEN of them, each with a limit on its time.

    The limits are on the whole request and the whole answer: one byte now and then does not lengthen them. Where all
    places are taken the connection goes that has kept its request to itself for longest, else one that reads slowly.
    """

    daemon_threads = True
    request_queue_size = 1024  # connections that wait to be accepted; the system may have a lower limit

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: dict[int, Connection] = {}  # by the identity of its socket, the oldest first
        self._change = threading.Condition()
        super().__init__(address, handler)

    def asked(self, connection: socket.socket) -> None:
        """The request of a connection has come: it has so long for the answer."""
        with self._change:
            if (found := self._open.get(id(connection))) is not None:
                found.asked, found.until = True, time.monotonic() + ANSWER_SECONDS

    def process_request(self, request: Any, client_address: Any) -> None:
        """Accepted: begin its thread once there is a place."""
        with self._change:
            while len(self._open) >= MOST_OPEN:
                if (least := self._least()) is not None:
                    self._end(least)
                else:
                    self._change.wait(ROOM_SECONDS)
            self._open[id(request)] = Connection(request, time.monotonic() + REQUEST_SECONDS)
        super().process_request(request, client_address)

    def _least(self) -> Connection | None:
        """The connection that another may have the place of; None where all are being answered, and not for long."""
        slow = time.monotonic() + ANSWER_SECONDS - SLOW_SECONDS
        silent = (each for each in self._open.values() if not each.asked)
        return next(silent, None) or next((each for each in self._open.values() if each.until < slow), None)

    def shutdown_request(self, request: Any) -> None:
        """A connection is over, however it ended."""
        with self._change:
            self._open.pop(id(request), None)
            self._change.notify_all()
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called twice a second: who has had their time goes."""
        with self._change:
            self._end_late()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is no news; the terminal is for what the user must know."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def _end_late(self) -> None:
        now = time.monotonic()
        for each in [each for each in self._open.values() if each.until < now]:
            self._end(each)

    def _end(self, each: Connection) -> None:
        """Its thread finds the connection closed, and ends; its place is free at once."""
        self._open.pop(id(each.socket), None)
        with contextlib.suppress(OSError):
            each.socket.shutdown(socket.SHUT_RDWR)


def server(page: Page, host: str, port: int) -> Server:
    """A server that is bound and not yet serving; its page is begun, so that the first reader need not wait for it.

    port 0 takes a free one. Raises BadInput where it cannot be had.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked(self.connection)
            if not _meant(self.headers.get("Host", ""), host):
                self._answer(403, "text/plain", "This server does not go by that name.")
            elif self.path.split("?")[0] == "/":
                self._answer(200, "text/html", page.html())
            elif self.path == "/state":
                self._answer(200, "application/json", json.dumps({"state": page.state()}))
            else:
                self._answer(404, "text/plain", "There is one page here: /")

        def _answer(self, code: int, kind: str, text: str) -> None:
            content = text.encode()
            self.send_response(code)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("X-Frame-Options", "DENY")
            self.end_headers()
            with contextlib.suppress(OSError):  # the reader has gone on, or had its time
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # the terminal is for what the user must know
            return

    try:
        made = Server((host, port), Handler)
    except (OSError, OverflowError) as error:
        raise BadInput(
            f"cannot serve on {host}:{port} ({getattr(error, 'strerror', None) or error}); try --port 0."
        ) from None
    page.begin()
    return made


def _meant(header: str, host: str) -> bool:
    """Whether a request's Host is a name of this server; one that was put on a network goes by any."""
    name = header.rsplit(":", 1)[0] if not header.endswith("]") else header
    return host not in LOOPBACK or name.strip("[]").lower() in LOOPBACK
