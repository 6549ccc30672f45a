# SPDX-License-Identifier: Apache-2.0
"""A SIP caller of a hundred lines that shares no code with the product: one UDP socket, plain text, MD5 digest."""
import hashlib
import hmac
import random
import re
import socket
import time

SDP = ("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {rtp} RTP/AVP 0 8\r\n"
       "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n")


def bracketed(host):
    return f"[{host}]" if ":" in host else host


class Answer:
    def __init__(self, text):
        self.text = text
        self.status = int(text.split(" ", 2)[1])
        self.reason = text.split("\r\n", 1)[0].split(" ", 2)[2]
        self.body = text.partition("\r\n\r\n")[2]

    def header(self, name):
        found = re.search(rf"^{name}\s*:\s*(.*?)\r?$", self.text, re.M | re.I)
        return found.group(1) if found else None


class Probe:
    def __init__(self, address, port, server, user="probe"):
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, port))
        self.here, self.server, self.user = self.socket.getsockname(), server, user
        self.host, self.registrar = bracketed(self.here[0]), f"{bracketed(server[0])}:{server[1]}"
        self.tag, self.call_id = f"{random.getrandbits(64):x}", f"{random.getrandbits(64):x}@probe"
        self.cseq, self.to_tag = 0, ""

    def close(self):
        self.socket.close()

    def request(self, method, user, headers=(), body="", cseq=None, branch=None, to=None):
        if cseq is None:
            self.cseq += 1
        number = cseq or self.cseq
        target = f"sip:{user}@{self.registrar}" if user else f"sip:{self.registrar}"
        lines = [f"{method} {target} SIP/2.0",
                 f"Via: SIP/2.0/UDP {self.host}:{self.here[1]};branch={branch or f'z9hG4bK{random.getrandbits(64):x}'};rport",
                 "Max-Forwards: 70", f"From: <sip:{self.user}@{self.host}>;tag={self.tag}",
                 f"To: <{to or target}>" + (f";tag={self.to_tag}" if self.to_tag else ""), f"Call-ID: {self.call_id}",
                 f"CSeq: {number} {method}", f"Contact: <sip:{self.user}@{self.host}:{self.here[1]}>"]
        lines += [f"{k}: {v}" for k, v in headers]
        if body:
            lines.append("Content-Type: application/sdp")
        lines += [f"Content-Length: {len(body)}", "", body]
        self.socket.sendto("\r\n".join(lines).encode(), self.server)
        return target

    def answers(self, timeout=10):
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                text = self.socket.recv(65536).decode(errors="replace")
            except (socket.timeout, TimeoutError):
                return
            if text.startswith("SIP/2.0 "):
                yield Answer(text)

    def final(self, method, timeout=10):
        for answer in self.answers(timeout):
            if answer.status >= 200 and (answer.header("CSeq") or "").endswith(method):
                found = re.search(r"tag=([^;>\s]+)", answer.header("To") or "")
                self.to_tag = found.group(1) if found else ""
                return answer
        return None

    def invite(self, user, headers=(), timeout=10, rtp=40000):
        """The final answer, acknowledged; None when none came."""
        self.to_tag = ""
        branch = f"z9hG4bK{random.getrandbits(64):x}"
        self.request("INVITE", user, headers, SDP.format(ip=self.here[0], rtp=rtp), branch=branch)
        answer = self.final("INVITE", timeout)
        if answer is not None:
            self.request("ACK", user, cseq=self.cseq, branch=branch if answer.status >= 300 else None)
        return answer

    def bye(self, user):
        self.request("BYE", user)
        return self.final("BYE")

    def authorized(self, method, user, agent, password, headers=(), to=None):
        """A request with credentials, as a phone sends it that keeps no nonce: the answer to them."""
        target = self.request(method, user, headers, to=to)
        first = self.final(method)
        self.to_tag = ""
        challenge = next((h for h in re.findall(r"^WWW-Authenticate\s*:\s*(.*?)\r?$", first.text, re.M | re.I)
                          if "SHA-256" not in h), None)
        if first.status != 401 or challenge is None:
            return first
        field = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))

        def h(text):
            return hashlib.md5(text.encode()).hexdigest()

        a1, a2 = h(f"{agent}:{field['realm']}:{password}"), h(f"{method}:{target}")
        response = h(f"{a1}:{field['nonce']}:00000001:c0ffee:auth:{a2}")
        self.request(method, user, [*headers, (
            "Authorization", f'Digest username="{agent}", realm="{field["realm"]}", nonce="{field["nonce"]}", '
            f'uri="{target}", response="{response}", algorithm=MD5, qop=auth, nc=00000001, cnonce="c0ffee"')], to=to)
        return self.final(method)

    def register(self, user, password, expires=60):
        """The status of the answer to the credentials."""
        answer = self.authorized("REGISTER", "", user, password, [("Expires", expires)], to=f"sip:{user}@{self.registrar}")
        self.to_tag = ""
        return answer.status

    def requested(self, timeout=10):
        """The next request that comes, answered with 200; empty when none does."""
        self.socket.settimeout(timeout)
        try:
            text, source = self.socket.recvfrom(65536)
        except (socket.timeout, TimeoutError):
            return ""
        text = text.decode(errors="replace")
        lines = re.findall(r"^(?:Via|From|To|Call-ID|CSeq)\s*:.*?\r\n", text, re.M | re.I)
        self.socket.sendto(("SIP/2.0 200 OK\r\n" + "".join(lines) + "Content-Length: 0\r\n\r\n").encode(), source)
        return text


def link_header(secret, call_id, from_tag, link="l-1", call="u-forged", root="u-root", kind="route", nonce=None, at_ms=None):
    """X-Sheaf-Link as docs/formats/link-header.md says, signed with `secret`."""
    body = (f"{link};call={call};root={root};kind={kind};rec=0;t={at_ms or int(time.time() * 1000)};"
            f"n={nonce or f'{random.getrandbits(128):032x}'}")
    mac = hmac.new(secret.encode(), f"{body}\n{call_id}\n{from_tag}".encode(), hashlib.sha256).hexdigest()
    return f"{body};mac={mac}"
