# SPDX-License-Identifier: Apache-2.0
"""What strangers send in bench/flood.py: broken and unwanted SIP from many addresses, from a process of its own."""
import gc
import random
import re
import socket
import time

TICK_S = 0.001
BEHIND_S = 1.0       # what could not be sent by then is not sent any more
HEAVY = "127.0.1.1"  # half of all comes from here, the rest from OTHERS more
OTHERS = 200
MARK = b"@@"         # becomes a number of the message's own, so that none counts as another one said again
NONCE = b"%%"        # becomes a nonce that the switch has given
TEMPLATES = 40       # of each kind
READ_EVERY = 500     # messages

SDP = ("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8\r\n"
       "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n")


class Writer:
    """Makes messages of each kind to and from numbers of the site `realm`: `agents`, `points`, and what `outside` is dialled with."""

    def __init__(self, server, realm, agents, points, outside, seed=1):
        self.at, self.realm = f"{server[0]}:{server[1]}", realm
        self.agents, self.points, self.outside = agents, points, outside
        self.random = random.Random(seed)

    def request(self, method, user, headers=(), body="", source="scanner", to_tag="", agent="friendly-scanner"):
        target = f"sip:{user}@{self.at}" if user else f"sip:{self.at}"
        lines = [f"{method} {target} SIP/2.0", "Via: SIP/2.0/UDP 127.0.1.9:5060;branch=z9hG4bK@@;rport", "Max-Forwards: 70",
                 f"From: <sip:{source}@{self.at}>;tag=f@@", f"To: <{target}>{to_tag}", "Call-ID: @@@flood", f"CSeq: 1 {method}",
                 f"Contact: <sip:{source}@127.0.1.9:5060>", f"User-Agent: {agent}", *headers]
        lines += ["Content-Type: application/sdp"] if body else []
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]).encode()

    def invite(self, user, headers=(), source="100"):
        return self.request("INVITE", user, headers, SDP.format(ip="127.0.1.9"), source)

    def credentials(self, user):
        return [f'Authorization: Digest username="{user}", realm="{self.realm}", nonce="%%", uri="sip:{self.at}", qop=auth, '
                f'nc=00000001, cnonce="@@", algorithm=MD5, response="{self.random.getrandbits(128):032x}"']

    # ---- malformed ----------------------------------------------------------------------------------------------
    def noise(self):
        return self.random.randbytes(self.random.randint(1, 1200))

    def truncated(self):
        whole = self.invite(self.random.choice(self.agents))
        return whole[:self.random.randint(5, len(whole) - 5)]

    def wrong_length(self):
        length = self.random.choice(["99999", "-1", "4294967296", "12x", "0", "99999999999999999999"]).encode()
        return re.sub(rb"Content-Length: \d+", b"Content-Length: " + length, self.invite(self.random.choice(self.points)))

    def headerless(self):
        name = self.random.choice(["Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Contact"]).encode()
        return re.sub(name + rb": [^\r]*\r\n", b"", self.invite(self.random.choice(self.agents + self.points)), count=1)

    def twisted(self):
        whole = self.invite(self.random.choice(self.points))
        way = self.random.randrange(7)
        if way == 0:
            return whole.replace(b"User-Agent: friendly-scanner", b"User-Agent: " + b"A" * self.random.randint(500, 8000))
        if way == 1:
            return whole.replace(b"Max-Forwards: 70", b"Via: SIP/2.0/UDP h;branch=z9hG4bKx\r\n" * 200 + b"Max-Forwards: 70")
        if way == 2:
            return whole.replace(b"SIP/2.0\r\n", b"SIP/7.0\r\n", 1)
        if way == 3:
            return whole.replace(b"CSeq: 1 INVITE", b"CSeq: 99999999999 OPTIONS")
        if way == 4:
            return whole.replace(b"m=audio 40000", b"m=audio 999999")
        if way == 5:
            return whole.replace(b"<sip:", b"<sip:%00\xff\"\x00\\", 1)
        return whole.replace(b"\r\n", b"\n")

    def bulky(self):
        return self.request("OPTIONS", "100", body="x" * self.random.randint(8_000, 48_000))

    # ---- well formed, and unwanted ------------------------------------------------------------------------------
    def call_agent(self):
        return self.invite(self.random.choice(self.agents))

    def call_point(self):
        return self.invite(self.random.choice(self.points), source=f"+4479{self.random.randrange(10**8):08}")

    def toll_fraud(self):
        prefix = self.random.choice([self.outside, self.outside + "00", "00", "+", "011", "900"])
        return self.invite(f"{prefix}{self.random.choice(['972', '252', '88216', '4479'])}{self.random.randrange(10**8):08}")

    def call_as_agent(self):
        user = self.random.choice(self.agents)
        return self.invite(self.outside + "15550100", self.credentials(user), user)

    def guess_password(self):
        user = self.random.choice(self.agents + ["admin", "100", "root"])
        return self.request("REGISTER", "", self.credentials(user), source=user).replace(
            f"To: <sip:{self.at}>".encode(), f"To: <sip:{user}@{self.at}>".encode())

    def register_bare(self):
        user = str(self.random.randrange(10_000))
        return self.request("REGISTER", "", source=user).replace(
            f"To: <sip:{self.at}>".encode(), f"To: <sip:{user}@{self.at}>".encode())

    def scan(self):
        return self.request("OPTIONS", self.random.choice(["100", "", "1000", "nm"]), ["Accept: application/sdp"])

    def no_dialog(self):
        method = self.random.choice(["BYE", "INFO", "ACK", "CANCEL", "UPDATE", "PRACK", "REFER", "NOTIFY", "SUBSCRIBE", "MESSAGE"])
        return self.request(method, self.random.choice(self.agents), to_tag=";tag=t@@")

    def no_request(self):
        status = self.random.choice(["100 Trying", "180 Ringing", "200 OK", "401 Unauthorized", "486 Busy Here", "503 No"])
        method = self.random.choice(["INVITE", "BYE", "OPTIONS"])
        whole = self.request(method, "100", to_tag=";tag=t@@", body=SDP.format(ip="127.0.1.9") if method == "INVITE" else "")
        return re.sub(rb"^[^\r]*", b"SIP/2.0 " + status.encode(), whole).replace(b"127.0.1.9:5060;branch", self.at.encode() + b";branch")


# Of a hundred messages so many are of this kind.
MIX = {"noise": 8, "truncated": 8, "wrong_length": 6, "headerless": 7, "twisted": 6, "bulky": 1, "call_agent": 8, "call_point": 10,
       "toll_fraud": 10, "call_as_agent": 4, "guess_password": 9, "register_bare": 4, "scan": 8, "no_dialog": 7, "no_request": 4}


def sources(chance):
    """The heavy one's socket, and those of the others."""
    addresses = [f"127.0.{net}.{host}" for net in (1, 2) for host in range(2, 255)]
    out = []
    for address in [HEAVY, *chance.sample(addresses, OTHERS)]:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        one.bind((address, 0))
        out.append(one)
    return out[0], out[1:]


def nonce_from(one, before):
    """The latest that is among the answers which have come there."""
    try:
        while True:
            found = re.search(rb'nonce="([^"]+)"', one.recv(65536, socket.MSG_DONTWAIT))
            before = found[1] if found else before
    except BlockingIOError:
        return before


def flood(pipe, server, rate, seconds, numbers, mix):
    """Told to begin, it sends so many a second for so long, and says what it sent. `mix`: kind -> its share."""
    writer, chance = Writer(server, *numbers), random.Random(2)
    heavy, others = sources(chance)
    ready = [(kind, getattr(writer, kind)()) for kind, share in mix.items() for _ in range(share * TEMPLATES)]
    chance.shuffle(ready)
    pipe.send("ready")
    pipe.recv()
    gc.disable()
    kinds, nonce, sent, given_up = dict.fromkeys(mix, 0), b"none", 0, 0
    begun = time.monotonic()
    while (now := time.monotonic() - begun) < seconds:
        due = int(now * rate) - given_up
        if due - sent > rate * BEHIND_S:
            given_up += due - sent
            continue
        for number in range(sent, due):
            kind, text = ready[(number + number // len(ready)) % len(ready)]
            source = heavy if number & 1 else others[chance.randrange(OTHERS)]
            source.sendto(text.replace(MARK, b"%x" % number).replace(NONCE, nonce), server)
            kinds[kind] += 1
            if number % READ_EVERY == 0:
                nonce = nonce_from(source, nonce)
        sent = max(sent, due)
        time.sleep(TICK_S)
    ended = time.monotonic()
    pipe.send({"sent": sent, "seconds": ended - begun, "ended": ended, "kinds": kinds, "not_sent": given_up})
