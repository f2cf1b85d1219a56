"""A web server on this machine that misbehaves as told, for tests of downloads."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Web:
    """`files` maps paths to bytes; `faults` maps paths to lists of faults, one used up a request.

    Faults: "404", "503", "half" (the connection breaks half-way), "long"/"short" (Content-Length is
    too large / small), "other" (another file of the same length), "slow" (nothing for 3 s),
    "redirect", "html". `ranges`: does it know Range? `log`: (path, Range, status) a request.
    """

    def __init__(self):
        self.files, self.faults, self.log = {}, {}, []
        self.ranges, self.tags, self.version = True, True, "1"
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                web.answer(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def answer(self, request):
        path, span = request.path, request.headers.get("Range")
        fault = (self.faults.get(path) or [""]).pop(0)
        body, start, status = self.files.get(path), 0, 200
        tag = f'"{self.version}"'
        stale = request.headers.get("If-Range", tag) != tag
        if fault in ("404", "503") or body is None:
            return self.say(request, int(fault or 404), b"sorry", span)
        if fault == "redirect":
            return self.say(request, 302, b"", span, Location=self.url("/moved" + path))
        if fault == "html":
            return self.say(request, 200, b"<html>please log in</html>", span)
        if fault == "other":
            body = bytes(255 - byte for byte in body)
        if span and self.ranges and not stale:
            start, status = int(span.removeprefix("bytes=").rstrip("-")), 206
            if start >= len(body):
                end = {"Content-Range": f"bytes */{len(body)}"}
                return self.say(request, 416, b"", span, **end)
        rest = body[start:]
        length = {"long": len(rest) + 100, "short": len(rest) - 100}.get(fault, len(rest))
        headers = {"ETag": tag} if self.tags else {}
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        if fault == "slow":
            time.sleep(3)
        sent = rest[:len(rest) // 2] if fault == "half" else rest
        self.say(request, status, sent, span, length, **headers)

    def say(self, request, status, body, span, length=None, **headers):
        self.log.append((request.path, span, status))
        request.close_connection = True
        try:
            request.send_response(status)
            request.send_header("Content-Length", str(len(body) if length is None else length))
            for name, value in headers.items():
                request.send_header(name, value)
            request.end_headers()
            request.wfile.write(body)
        except OSError:      # the client has gone
            pass
