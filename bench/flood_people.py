# SPDX-License-Identifier: Apache-2.0
"""Customers of a trunk and agents' phones for bench/flood.py: SIP over one UDP socket each, as plain text, and RTP from a
process of its own. Shares no code with the product."""
import asyncio
import gc
import hashlib
import random
import re
import socket
import struct
import time

T1, T2, GIVE_UP_S = 0.5, 4.0, 32.0   # RFC 3261 §17
FRAME_S, FRAME_BYTES, SLOTS = 0.02, 160, 10
FIRST_SEQUENCE = 1000
METHODS = "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE"
SDP = ("v=0\r\no=- {port} 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
       "a=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n")


def token():
    return f"{random.getrandbits(64):016x}"


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def media_of(body):
    """(address, port) of a session description's audio; None when there is none."""
    host, port = re.search(r"^c=IN IP4 (\S+)", body, re.M), re.search(r"^m=audio (\d+)", body, re.M)
    return (host[1], int(port[1])) if host and port else None


class Message:
    def __init__(self, data):
        head, _, self.body = data.decode("latin-1").partition("\r\n\r\n")
        self.first, *lines = head.split("\r\n")
        self.headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        self.is_response = self.first.startswith("SIP/2.0 ")
        self.status = int(self.first.split(" ")[1]) if self.is_response else 0
        self.method = self.one("cseq").split(" ")[-1] if self.is_response else self.first.split(" ")[0]
        branch = re.search(r"branch=([^;,\s]+)", self.one("via"))
        self.branch = branch[1] if branch else ""

    def all(self, name):
        return [value for known, value in self.headers if known == name]

    def one(self, name):
        return next(iter(self.all(name)), "")

    def uri(self, name):
        found = re.search(r"<([^>]+)>", self.one(name))
        return found[1] if found else ""


class Call:
    """A dialog: ours and theirs as From and To of requests that we send, and the two sides' media."""

    def __init__(self, call_id, ours, theirs, target, sdp):
        self.call_id, self.ours, self.theirs, self.target, self.sdp = call_id, ours, theirs, target, sdp
        self.cseq = 1
        self.media = None     # where the other side wants to hear us
        self.moved = False    # it wanted something else later
        self.answered_s = 0.0
        self.acked = asyncio.Event()
        self.ended = asyncio.Event()

    def heard(self, body):
        media = media_of(body) if body else None
        self.moved = self.moved or (media is not None and self.media not in (None, media))
        self.media = media or self.media


class Station(asyncio.DatagramProtocol):
    """Everybody at one address. `phones`: user -> port of its RTP; a call to one of them is answered at once when it has none."""

    def __init__(self, address, port, server):
        self.address, self.port, self.server = address, port, server
        self.here, self.registrar = f"{address}:{port}", f"{server[0]}:{server[1]}"
        self.phones, self.calls, self.by_user = {}, {}, {}
        self.waiting, self.answers, self.acks = {}, {}, {}
        self.tasks = set()
        self.transport = None

    async def open(self):
        here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        here.bind((self.address, self.port))
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=here)
        return self

    def close(self):
        for task in self.tasks:
            task.cancel()
        self.transport.close()

    def connection_made(self, transport):
        self.transport = transport

    def send(self, text):
        self.transport.sendto(text.encode("latin-1"), self.server)

    # ---- what we ask --------------------------------------------------------------------------------------------
    def text(self, method, target, ours, theirs, call_id, cseq, branch, headers=(), body=""):
        lines = [f"{method} {target} SIP/2.0", f"Via: SIP/2.0/UDP {self.here};branch={branch}", "Max-Forwards: 70",
                 f"From: {ours}", f"To: {theirs}", f"Call-ID: {call_id}", f"CSeq: {cseq} {method}", *headers]
        return self.whole(lines, body)

    @staticmethod
    def whole(lines, body):
        kind = ["Content-Type: application/sdp"] if body else []
        return "\r\n".join([*lines, *kind, f"Content-Length: {len(body)}", "", body])

    async def ask(self, method, text, branch, timeout=GIVE_UP_S):
        """The final answer to a request, which is said again until it comes; TimeoutError when it does not."""
        answers = self.waiting[branch] = asyncio.Queue()
        deadline, again, progressed = time.monotonic() + timeout, T1, False
        try:
            self.send(text)
            while (left := deadline - time.monotonic()) > 0:
                try:
                    answer = await asyncio.wait_for(answers.get(), left if progressed and method == "INVITE" else min(again, left))
                except asyncio.TimeoutError:
                    self.send(text)
                    again = again * 2 if method == "INVITE" else min(again * 2, T2)
                    continue
                if answer.status >= 200:
                    return answer
                progressed = True
            raise TimeoutError(f"{method} from {self.here}: no answer in {timeout:.0f} s")
        finally:
            del self.waiting[branch]

    async def call(self, number, rtp, user="+442079460000", timeout=GIVE_UP_S):
        """An established call to that number, or RuntimeError, or TimeoutError."""
        begun, branch, target = time.monotonic(), "z9hG4bK" + token(), f"sip:{number}@{self.registrar}"
        sdp = SDP.format(ip=self.address, port=rtp)
        call = Call(token(), f"<sip:{user}@{self.here}>;tag={token()}", f"<{target}>", target, sdp)
        contact = f"Contact: <sip:{user}@{self.here}>"
        text = self.text("INVITE", target, call.ours, call.theirs, call.call_id, 1, branch, [contact, f"Allow: {METHODS}"], sdp)
        answer = await self.ask("INVITE", text, branch, timeout)
        call.theirs = answer.one("to")
        if answer.status >= 300:
            self.send(self.text("ACK", target, call.ours, call.theirs, call.call_id, 1, branch))
            raise RuntimeError(f"call to {number}: {answer.first}")
        call.answered_s = time.monotonic() - begun
        call.target = answer.uri("contact") or target
        call.heard(answer.body)
        self.calls[call.call_id] = call
        self.acks[call.call_id] = self.text("ACK", call.target, call.ours, call.theirs, call.call_id, 1, "z9hG4bK" + token())
        self.send(self.acks[call.call_id])
        return call

    async def hang_up(self, call):
        call.cseq, branch = call.cseq + 1, "z9hG4bK" + token()
        answer = await self.ask("BYE", self.text("BYE", call.target, call.ours, call.theirs, call.call_id, call.cseq, branch), branch)
        self.forget(call)
        return answer.status

    async def register(self, user, password, timeout=GIVE_UP_S):
        """The status of the answer to the credentials."""
        record, target, call_id, ours = f"<sip:{user}@{self.registrar}>", f"sip:{self.registrar}", token(), token()
        headers, answer = [f"Contact: <sip:{user}@{self.here}>", "Expires: 3600"], None
        for cseq in (1, 2):
            branch = "z9hG4bK" + token()
            text = self.text("REGISTER", target, f"{record};tag={ours}", record, call_id, cseq, branch, headers)
            answer = await self.ask("REGISTER", text, branch, timeout)
            challenge = next((one for one in answer.all("www-authenticate") if "SHA-256" not in one), None)
            if answer.status != 401 or challenge is None:
                break
            field = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
            secret = md5(f"{user}:{field['realm']}:{password}")
            response = md5(f"{secret}:{field['nonce']}:00000001:{user}:auth:{md5('REGISTER:' + target)}")
            headers = [*headers[:2], f'Authorization: Digest username="{user}", realm="{field["realm"]}", nonce="{field["nonce"]}", '
                       f'uri="{target}", qop=auth, nc=00000001, cnonce="{user}", algorithm=MD5, response="{response}"']
        return answer.status

    # ---- what we are asked --------------------------------------------------------------------------------------
    def datagram_received(self, data, _):
        if not data.strip():
            return
        message = Message(data)
        if message.is_response:
            waiting = self.waiting.get(message.branch)
            if waiting is not None:
                waiting.put_nowait(message)
            elif message.method == "INVITE" and message.status < 300 and message.one("call-id") in self.acks:
                self.send(self.acks[message.one("call-id")])   # a 2xx again: our ACK was lost
            return
        call = self.calls.get(message.one("call-id"))
        if message.method == "ACK":
            if call:
                call.acked.set()
        elif (message.branch, message.method) in self.answers:
            self.send(self.answers[message.branch, message.method])
        elif message.method == "INVITE":
            self.invited(message, call)
        elif call and message.method == "BYE":
            self.forget(call)
            self.answer(message, "200 OK")
        elif message.method in ("OPTIONS", "UPDATE", "CANCEL", "INFO", "NOTIFY", "MESSAGE"):
            if call and message.body:
                call.heard(message.body)
            self.answer(message, "200 OK", body=call.sdp if call and message.method == "UPDATE" and message.body else "")
        else:
            self.answer(message, "481 Call/Transaction Does Not Exist")

    def answer(self, request, status, tag="", user="", body=""):
        to = request.one("to")
        if "tag=" not in to:
            to += f";tag={tag or token()}"
        lines = [f"SIP/2.0 {status}", *(f"Via: {via}" for via in request.all("via")), f"From: {request.one('from')}", f"To: {to}",
                 f"Call-ID: {request.one('call-id')}", f"CSeq: {request.one('cseq')}",
                 *(f"Record-Route: {route}" for route in request.all("record-route")),
                 f"Contact: <sip:{user or 'station'}@{self.here}>", f"Allow: {METHODS}"]
        text = self.answers[request.branch, request.method] = self.whole(lines, body)
        self.send(text)
        return text

    def invited(self, request, call):
        if call:   # again in its dialog: for connected identity, or a session's refresh
            call.heard(request.body)
            return self.begin(self.repeat(call, self.answer(request, "200 OK", body=call.sdp)))
        user = re.search(r"sip:([^@;>\s]+)@", request.first)
        user = user[1] if user else ""
        if user not in self.phones:
            return self.answer(request, "404 Not Found")
        if user in self.by_user:
            return self.answer(request, "486 Busy Here")
        tag = token()
        sdp = SDP.format(ip=self.address, port=self.phones[user])
        call = Call(request.one("call-id"), f"{request.one('to')};tag={tag}", request.one("from"), request.uri("contact"), sdp)
        call.heard(request.body)
        self.calls[call.call_id] = self.by_user[user] = call
        self.answer(request, "180 Ringing", tag, user)
        return self.begin(self.repeat(call, self.answer(request, "200 OK", tag, user, sdp)))

    def begin(self, work):
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def repeat(self, call, text):
        """A 2xx until its ACK (RFC 3261 §13.3.1.4)."""
        call.acked.clear()
        wait, deadline = T1, time.monotonic() + GIVE_UP_S
        while time.monotonic() < deadline and not call.ended.is_set():
            try:
                return await asyncio.wait_for(call.acked.wait(), wait)
            except asyncio.TimeoutError:
                self.send(text)
                wait = min(wait * 2, T2)

    def forget(self, call):
        call.ended.set()
        self.calls.pop(call.call_id, None)
        self.by_user = {user: one for user, one in self.by_user.items() if one is not call}


# ---- RTP, in a process of its own -----------------------------------------------------------------------------------
def send_rtp(pipe, streams):
    """`streams`: SSRC -> (address, port) to send from. Told {SSRC: (address, port) to send to} it sends PCMU, each stream a
    packet every 20 ms, until it is told anything else; then says how many were sent of each, and how late the latest was."""
    sockets = {}
    for ssrc, here in streams.items():
        one = sockets[ssrc] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)   # nobody listens
        one.bind(here)
    pipe.send("bound")
    to = pipe.recv()
    gc.disable()
    order = list(to)
    slots = [[(ssrc, sockets[ssrc], to[ssrc]) for ssrc in order[slot::SLOTS]] for slot in range(SLOTS)]
    payload = bytes(0x80 | (i * 7 & 0x7f) for i in range(FRAME_BYTES))
    begun, worst, rounds = time.monotonic() + FRAME_S, 0.0, 0
    while not pipe.poll():
        head = (FIRST_SEQUENCE + rounds) & 0xffff, rounds * FRAME_BYTES & 0xffffffff
        for slot, ones in enumerate(slots):
            due = begun + (rounds + slot / SLOTS) * FRAME_S
            late = time.monotonic() - due
            if late < 0:
                time.sleep(-late)
            worst = max(worst, late)
            for ssrc, one, there in ones:
                one.sendto(struct.pack(">BBHII", 0x80, 0, *head, ssrc) + payload, there)
        rounds += 1
    pipe.recv()
    pipe.send({"packets": {ssrc: rounds for ssrc in to}, "latest_ms": round(worst * 1000, 1)})
