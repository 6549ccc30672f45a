# SPDX-License-Identifier: Apache-2.0
"""Stands between the sites and the archive: takes everything, delivers it later, all or some of it, in random order, twice."""
import hashlib
import http.server
import json
import random
import threading
import urllib.error
import urllib.request


class Relay:
    """Says yes to each upload at once and keeps it; `deliver` hands it to the archive as single facts, shuffled."""

    def __init__(self, port, archive_url, seed):
        self.archive_url, self.random = archive_url, random.Random(seed)
        self.kept, self.lock = [], threading.Lock()
        relay = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def take(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {k: v for k, v in self.headers.items()
                           if k.lower() in ("authorization", "content-type", "content-digest")}
                answer = relay.take(self.command, self.path, headers, body)
                data = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_PUT = take

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, method, path, headers, body):
        with self.lock:
            if method != "POST":
                self.kept.append((method, path, headers, body))
                return {"segment": path.split("/")[3], "sha256": hashlib.sha256(body).hexdigest()}
            facts = json.loads(body)["facts"]
            for fact in facts:
                self.kept.append((method, path, headers, json.dumps({"facts": [fact]}).encode()))
            return {"accepted": [f["id"] for f in facts], "rejected": [], "up_to": {}}

    def count(self):
        with self.lock:
            return len(self.kept)

    def deliver(self, without=None):
        """Everything; `without` this type of fact, if it is given."""
        with self.lock:
            wanted = [upload for upload in self.kept if not without or f'"{without}"'.encode() not in upload[3]] * 2
        self.random.shuffle(wanted)
        for method, path, headers, body in wanted:
            request = urllib.request.Request(self.archive_url + path, data=body, headers=headers, method=method)
            with urllib.request.urlopen(request, timeout=10) as answer:
                answer.read()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
