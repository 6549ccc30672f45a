# SPDX-License-Identifier: Apache-2.0
"""What trunks and phones ask of a switch, played by SIPp: over UDP and TCP, IPv4 and IPv6."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import unittest

import own_network
from harness import BUILD, PORT_BASE
from lab.kamailio import Kamailio
from lab.world import Process
from sip_probe import Probe, bracketed
from sipp import Run, Side

HOSTS = {4: {"switch": "127.0.0.1", "phone": "127.0.0.5", "trunk": "127.0.0.9", "proxy": "127.0.0.8",
             "stranger": "127.0.0.77"},
         6: {"switch": "2001:db8::1", "phone": "2001:db8::5", "trunk": "2001:db8::9", "proxy": "2001:db8::8",
             "stranger": "2001:db8::77"}}
NUMBER, DIRECT, RECORDED, AWAY = "+442071234567", "+442071234999", "+442071234777", "+442071234888"
NATIONAL = "+442071234666"
PASSWORD = "a secret"
NOBODYS_PORT = PORT_BASE + 62
PORTS = {"trunk": PORT_BASE + 20, "phone": PORT_BASE + 40, "far": PORT_BASE + 60, "stranger": PORT_BASE + 80,
         "same stranger": PORT_BASE + 90}
PLACES = {"far": "trunk", "same stranger": "stranger"}   # who is at somebody else's address
USERS = {"trunk": "+447700900123", "phone": "1001", "far": "+33142345678"}


class Lab:
    """One site: a routing point where callers wait for somebody who never comes, an agent with a phone, a carrier. Its addresses are all of one IP version."""

    def __init__(self, family, transport, with_proxy):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sheaf-sipp-"))
        self.hosts, self.transport = HOSTS[family], transport
        switch, trunk = bracketed(self.hosts["switch"]), bracketed(self.hosts["trunk"])
        self.first_hop = (self.hosts["proxy" if with_proxy else "switch"], PORT_BASE)
        self.remote = f"{bracketed(self.first_hop[0])}:{PORT_BASE}"
        carrier = f"{bracketed(self.hosts['proxy'])}:{PORT_BASE}" if with_proxy else f"{trunk}:{PORTS['trunk']}"
        way = ";transport=tcp" if transport == "tcp" else ""
        texts = {"switch": f"""[node]
site="london"
name="london-1"
data="{self.folder}/switch"
[switch]
listen=["udp:{switch}:{PORT_BASE}", "tcp:{switch}:{PORT_BASE}"]
media=["sip:{switch}:{PORT_BASE + 10}"]
options_ms=0
[switch.limits]
stranger_calls=1
[[switch.trunk]]
name="carrier"
addresses=["sip:{carrier}{way}"]
user="sheaf"
password="{PASSWORD}"
[[switch.trunk]]
name="far"
addresses=["sip:{trunk}:{NOBODYS_PORT}{way}", "sip:{trunk}:{PORTS['far']}{way}"]
user="sheaf"
password="{PASSWORD}"
[[switch.trunk]]
name="national"
addresses=["sip:{trunk}:{PORTS['far']}{way}"]
[[switch.number]]
trunk="carrier"
of="called-in"
match="^0(20.*)$"
number="+44$1"
[[switch.number]]
trunk="carrier"
of="calling-in"
match="^0(7.*)$"
number="+44$1"
[[switch.number]]
trunk="national"
of="called-out"
match="^\\\\+(.*)$"
number="00$1"
[[switch.number]]
trunk="national"
of="calling-out"
match="^\\\\+(.*)$"
number="00$1"
[[switch.agent]]
dn="1001"
password="{PASSWORD}"
[[switch.agent]]
dn="1002"
password="{PASSWORD}"
[[switch.agent]]
dn="1003"
password="{PASSWORD}"
record="always"
[[switch.routing_point]]
dn="8000"
numbers=["{NUMBER}"]
treatment=["music:default"]
targets=["agent:1002"]
[[switch.routing_point]]
dn="8001"
numbers=["{AWAY}"]
treatment=["music:default"]
targets=["agent:1002"]
overflow="trunk:+33142345678@far"
overflow_after_ms=100
[[switch.routing_point]]
dn="8002"
numbers=["{NATIONAL}"]
treatment=["music:default"]
targets=["agent:1002"]
overflow="trunk:+33142345678@national"
overflow_after_ms=100
[[switch.route]]
match="^\\\\{DIRECT}$"
to="agent:1001"
number="1001"
[[switch.route]]
match="^\\\\{RECORDED}$"
to="agent:1003"
number="1003"
[[switch.route]]
match="^9(.*)$"
to="trunk:carrier"
number="+$1"
""", "media": f"""[node]
site="london"
name="london-media-1"
data="{self.folder}/media"
[media]
sip=["udp:{switch}:{PORT_BASE + 10}"]
rtp="{switch}:{PORT_BASE + 200}-{PORT_BASE + 399}"
prompts="{BUILD}/prompts"
allow=["{self.hosts["switch"]}"]
rtp_silence_ms=0
"""}
        self.processes, self.runs, self.proxy = [], [], None
        for name in ("media", "switch"):
            path = self.folder / f"{name}.toml"
            path.write_text(texts[name])
            self.processes.append(Process(name, BUILD / "sheaf", path, self.folder / f"{name}.log"))
        try:
            for process in self.processes:
                process.start()
        except RuntimeError:
            self.close()
            raise
        if with_proxy:
            self.proxy = Kamailio(self.folder, self.first_hop, (self.hosts["switch"], PORT_BASE), transport)

    def side(self, who, name):
        return Side(name, USERS.get(who, "anybody"), self.hosts[PLACES.get(who, who)])

    def play(self, who, side):
        port = PORTS[who]
        transport = "udp" if who == "phone" else self.transport
        run = Run(side, self.folder / "sipp", bracketed(side.address), port, self.remote, transport)
        self.runs.append(run)
        return run

    def register(self, dn):
        """SIPp knows the digest's MD5 only where it is offered first: the phone's registration is somebody else's."""
        phone = Probe(self.hosts["phone"], PORTS["phone"], self.first_hop, dn)
        try:
            if phone.register(dn, PASSWORD) != 200:
                raise RuntimeError("the phone cannot register")
        finally:
            phone.close()

    def close(self):
        for run in self.runs:
            run.close()
        if self.proxy:
            self.proxy.close()
        for process in reversed(self.processes):
            process.kill()


class Trunks:
    """Each with one lab for all: see below."""

    family = transport = None
    with_proxy = False   # kamailio stands between, and stays in the path

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(cls.family, cls.transport, cls.with_proxy)

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def plays(self, who, side, *others):
        """`others` wait first: (who, side)."""
        runs = [self.lab.play(*other) for other in others]
        runs.append(self.lab.play(who, side))
        problems = [problem for problem in (run.problem() for run in reversed(runs)) if problem]
        for run in runs:
            run.close()
        self.assertFalse(problems, "\n".join([f"kept: {self.lab.folder}", *problems]))

    def calls(self, name, number=NUMBER, headers=(), checks=()):
        """A call of the trunk's that is answered."""
        side = self.lab.side("trunk", name)
        side.begin("INVITE", number, headers=headers, body=side.sdp()).trying()
        side.expect(180, optional=True).expect(183, optional=True).expect(200, *checks).within("ACK", 1)
        return side

    def test_a_call_and_its_end(self):
        side = self.calls("call")
        self.plays("trunk", side.pause(200).within("BYE", 2).expect(200))

    def test_options_say_what_is_taken(self):
        side = self.lab.side("trunk", "options").begin("OPTIONS", "")
        self.plays("trunk", side.expect(200, ("Allow:", "INVITE.*UPDATE"), ("Supported:", "100rel.*timer")))

    def test_what_is_required_and_not_known_is_refused(self):
        side = self.lab.side("trunk", "bad-extension")
        side.begin("INVITE", NUMBER, headers=["Require: no-such-thing"], body=side.sdp()).trying()
        self.plays("trunk", side.refused(420, NUMBER, ("Unsupported:", "no-such-thing")))

    def test_a_description_among_other_parts_is_found_and_a_body_of_another_type_refused(self):
        side = self.lab.side("trunk", "parts")
        body = (f"--edge\nContent-Type: application/sdp\n\n{side.sdp()}--edge\nContent-Type: application/ISUP;version=itu-t92+\n"
                "Content-Disposition: signal;handling=optional\n\n01 00 60\n--edge--\n")
        side.begin("INVITE", NUMBER, headers=["Content-Type: multipart/mixed;boundary=edge"], body=body).trying()
        side.expect(180, optional=True).expect(200, ("*", "m=audio")).within("ACK", 1).pause(200)
        self.plays("trunk", side.within("BYE", 2).expect(200))
        other = self.lab.side("trunk", "other-type")
        other.begin("INVITE", NUMBER, headers=["Content-Type: application/ISUP"], body="01 00 60\n").trying()
        self.plays("trunk", other.refused(415, NUMBER, ("Accept:", "application/sdp")))

    def test_hold_and_retrieve_by_update_and_by_reinvite(self):
        side = self.calls("hold")
        side.within("UPDATE", 2, body=side.sdp("sendonly")).expect(200, ("*", "a=recvonly"))
        side.within("UPDATE", 3, body=side.sdp()).expect(200, ("*", "a=sendrecv"))
        side.within("UPDATE", 4).expect(200)
        side.within("INVITE", 5, body=side.sdp("inactive")).trying().expect(200, ("*", "a=inactive")).within("ACK", 5)
        side.within("INVITE", 6, body=side.sdp()).trying().expect(200, ("*", "m=audio")).within("ACK", 6)
        self.plays("trunk", side.within("BYE", 7).expect(200))

    def test_an_invite_without_an_offer_and_a_reinvite_without_one(self):
        side = self.lab.side("trunk", "offerless")
        side.begin("INVITE", NUMBER).trying().expect(180, optional=True).expect(200, ("*", "m=audio"))
        side.within("ACK", 1, body=side.sdp()).pause(200)
        side.within("INVITE", 2).trying().expect(200, ("*", "m=audio")).within("ACK", 2, body=side.sdp()).pause(200)
        self.plays("trunk", side.within("BYE", 3).expect(200))

    def test_a_session_is_timed_and_refreshed_by_the_trunk(self):
        side = self.calls("session-timer", headers=["Supported: timer", "Session-Expires: 120;refresher=uac", "Min-SE: 90"],
                          checks=[("Session-Expires:", "120;refresher=uac")])
        side.within("UPDATE", 2, headers=["Supported: timer", "Session-Expires: 120;refresher=uac"])
        side.expect(200, ("Session-Expires:", "120;refresher=uac"))
        self.plays("trunk", side.within("BYE", 3).expect(200))

    def test_a_session_too_short_is_refused_with_what_would_do(self):
        side = self.lab.side("trunk", "too-short")
        side.begin("INVITE", NUMBER, headers=["Supported: timer", "Session-Expires: 30"], body=side.sdp()).trying()
        self.plays("trunk", side.refused(422, NUMBER, ("Min-SE:", "90")))


class Outwards:
    """Calls that go out to a trunk."""

    def test_a_trunk_that_challenges_is_answered_at_the_address_where_somebody_is(self):
        far = self.lab.side("far", "challenges")
        far.request("INVITE").answer("407 Proxy Authentication Required", headers=[
            'Proxy-Authenticate: Digest realm="far", nonce="0123", algorithm=MD5, qop="auth"'])
        far.request("ACK")
        far.request("INVITE", ("Proxy-Authorization:", 'username="sheaf".*nonce="0123".*response="[0-9a-f]{32}"'),
                    ("P-Asserted-Identity:", "sip:.447700900123@"), ("From:", "sip:.447700900123@"))
        far.answer("180 Ringing").answer("200 OK", body=far.sdp()).request("ACK")
        far.request("BYE", ("Reason:", "cause=16")).answer("200 OK", tag=False)
        side = self.calls("away", AWAY)
        # UDP says nothing of a port where nobody is: the next address has its turn after four seconds.
        self.plays("trunk", side.pause(6000).within("BYE", 2).expect(200), ("far", far))

    def test_numbers_are_read_and_written_as_each_carrier_writes_them(self):
        far = self.lab.side("far", "national")
        far.request("INVITE", ("*", "^INVITE sip:0033142345678@"), ("To:", "sip:0033142345678@"),
                    ("From:", "sip:00447700900124@"), ("P-Asserted-Identity:", "sip:00447700900124@"),
                    ("Diversion:", "sip:00442071234666@"))
        far.answer("200 OK", body=far.sdp()).request("ACK").request("BYE").answer("200 OK", tag=False)
        side = self.calls("national-caller", "0" + NATIONAL[3:], headers=["P-Asserted-Identity: <sip:07700900124@[local_ip]>"])
        self.plays("trunk", side.pause(1500).within("BYE", 2).expect(200), ("far", far))

    def test_a_call_sent_on_says_where_it_has_been_and_keeps_who_calls_from_all_but_the_trunk(self):
        far = self.lab.side("far", "sent-on")
        far.request("INVITE", ("From:", "sip:anonymous@anonymous.invalid"), ("P-Asserted-Identity:", "sip:.447700900777@"),
                    ("Privacy:", "id"), ("Diversion:", "sip:.442071234888@.*;reason=unavailable"),
                    ("*", "History-Info: <sip:.441@[^>]*>;index=1[[:cntrl:]]"),
                    ("*", "History-Info: <sip:.442071234888@[^>]*;cause=486>;index=1.1;mp=1[[:cntrl:]]"))
        far.answer("200 OK", body=far.sdp()).request("ACK").request("BYE").answer("200 OK", tag=False)
        side = self.calls("withheld-away", AWAY, headers=[
            "P-Asserted-Identity: <sip:+447700900777@[local_ip]>", "Privacy: id",
            f"History-Info: <sip:+441@carrier>;index=1, <sip:{AWAY}@carrier;cause=486>;index=1.1;mp=1"])
        self.plays("trunk", side.pause(6000).within("BYE", 2).expect(200), ("far", far))


class Phones:
    """A phone behind it, too."""

    def with_phone(self, phone, who, side, dn="1001"):
        self.lab.register(dn)
        self.plays(who, side, ("phone", phone))

    def test_ringing_is_reliable_where_the_trunk_requires_it(self):
        phone = self.lab.side("phone", "reliable-phone")
        phone.request("INVITE").answer("180 Ringing").pause(1200).answer("200 OK", body=phone.sdp()).request("ACK")
        phone.request("BYE").answer("200 OK", tag=False)
        side = self.lab.side("trunk", "reliable")
        side.begin("INVITE", DIRECT, headers=["Require: 100rel"], body=side.sdp()).trying()
        side.expect(180, ("RSeq:", "[0-9]+", "rseq"), ("Require:", "100rel"))
        side.within("PRACK", 2, headers=["RAck: [$rseq] 1 INVITE"]).expect(200)
        side.expect(200, ("*", "m=audio")).within("ACK", 1).pause(200)
        self.with_phone(phone, "trunk", side.within("BYE", 3).expect(200))

    def test_a_caller_who_withholds_is_anonymous_to_the_phone(self):
        phone = self.lab.side("phone", "anonymous-phone")
        phone.request("INVITE", ("From:", "\"Anonymous\" <sip:anonymous@anonymous.invalid>"))
        phone.answer("200 OK", body=phone.sdp()).request("ACK").request("BYE").answer("200 OK", tag=False)
        side = self.calls("withheld", DIRECT, headers=["P-Asserted-Identity: <sip:+447700900777@[local_ip]>", "Privacy: id"])
        self.with_phone(phone, "trunk", side.pause(200).within("BYE", 2).expect(200))
        self.assertNotIn("447700900777", (self.lab.folder / "sipp/anonymous-phone.messages").read_text())

    def test_a_phone_that_redirects_sends_the_call_on(self):
        phone = self.lab.side("phone", "redirecting-phone")
        phone.request("INVITE").answer("302 Moved Temporarily", headers=["Contact: <sip:8000@[remote_ip]>;q=0.5"]).request("ACK")
        side = self.calls("redirected", DIRECT)
        self.with_phone(phone, "trunk", side.pause(200).within("BYE", 2).expect(200))

    def test_an_answer_that_says_little_counts_as_what_its_reason_says(self):
        phone = self.lab.side("phone", "reason-phone")
        phone.request("INVITE").answer("500 Server Internal Error", headers=["Reason: Q.850;cause=17"]).request("ACK")
        side = self.lab.side("trunk", "reason").begin("INVITE", DIRECT, body=self.lab.side("trunk", "").sdp()).trying()
        self.with_phone(phone, "trunk", side.refused(486, DIRECT))

    def test_cancel_while_it_rings(self):
        phone = self.lab.side("phone", "cancelled-phone")
        phone.request("INVITE").answer("180 Ringing").request("CANCEL", ("Reason:", "Q.850")).answer("200 OK", tag=False)
        phone.answer("487 Request Terminated", to_invite=True).request("ACK")
        side = self.lab.side("trunk", "cancel")
        side.begin("INVITE", DIRECT, body=side.sdp()).trying().expect(180)
        side.steps.append('<send retrans="500">\n<![CDATA[\nCANCEL sip:' + DIRECT + '@[remote_ip]:[remote_port];transport='
                          '[transport] SIP/2.0\n[last_Via:]\nFrom: <sip:[$me]@[local_ip]:[local_port]>;tag=[pid]s[call_number]\n'
                          f'To: <sip:{DIRECT}@[remote_ip]:[remote_port];transport=[transport]>\nCall-ID: [call_id]\n'
                          'CSeq: 1 CANCEL\nMax-Forwards: 70\nContent-Length: 0\n\n]]>\n</send>')
        side.steps.append('<recv response="200" />')
        side.refused(487, DIRECT)
        self.with_phone(phone, "trunk", side)

    def test_a_phone_is_called_with_early_media_that_it_wants_acknowledged(self):
        phone = self.lab.side("phone", "early-phone")
        phone.request("INVITE", ("Supported:", "100rel"))
        phone.answer("183 Session Progress", headers=["Require: 100rel", "RSeq: 17"], body=phone.sdp())
        phone.request("PRACK", ("RAck:", "17 1 INVITE")).answer("200 OK", tag=False).pause(300)
        phone.answer("200 OK", body=phone.sdp(), tag=False, to_invite=True).request("ACK")
        phone.request("BYE", ("Reason:", "cause=16")).answer("200 OK", tag=False)
        side = self.lab.side("trunk", "early")
        side.begin("INVITE", DIRECT, body=side.sdp()).trying().expect(183, ("*", f"c=IN IP. {phone.address}"))
        side.expect(200).within("ACK", 1)
        self.with_phone(phone, "trunk", side.pause(500).within("BYE", 2).expect(200))

    def test_who_is_recorded_is_heard_before_the_answer_too_through_the_media_server(self):
        media = f"c=IN IP. {self.lab.hosts['switch']}"
        phone = self.lab.side("phone", "early-recorded-phone")
        phone.request("INVITE", ("*", media)).answer("183 Session Progress", body=phone.sdp()).pause(1500)
        phone.answer("200 OK", body=phone.sdp(), tag=False, to_invite=True).request("ACK")
        phone.request("BYE").answer("200 OK", tag=False)
        side = self.lab.side("trunk", "early-recorded")
        side.begin("INVITE", RECORDED, body=side.sdp()).trying().expect(180).expect(183, ("*", media))
        side.expect(200, ("*", media)).within("ACK", 1)
        self.with_phone(phone, "trunk", side.pause(300).within("BYE", 2).expect(200), dn="1003")

    def test_media_goes_end_to_end_until_a_hold_brings_both_to_the_media_server(self):
        media = f"c=IN IP. {self.lab.hosts['switch']}"
        phone = self.lab.side("phone", "direct-phone")
        side = self.lab.side("trunk", "direct")
        phone.request("INVITE", ("*", f"c=IN IP. {side.address}")).answer("180 Ringing")
        phone.answer("200 OK", body=phone.sdp()).request("ACK")
        phone.request("INVITE", ("*", media)).answer("200 OK", body=phone.sdp(), tag=False, to_invite=True).request("ACK")
        phone.request("BYE").answer("200 OK", tag=False)
        side.begin("INVITE", DIRECT, body=side.sdp()).trying().expect(180, optional=True)
        side.expect(200, ("*", f"c=IN IP. {phone.address}")).within("ACK", 1).pause(200)
        side.within("INVITE", 2, body=side.sdp("sendonly")).trying().expect(200, ("*", media), ("*", "a=recvonly"))
        side.within("ACK", 2).pause(500)
        side.within("INVITE", 3, body=side.sdp()).trying().expect(200, ("*", "a=sendrecv")).within("ACK", 3).pause(200)
        self.with_phone(phone, "trunk", side.within("BYE", 4).expect(200))


class Lamps:
    """A phone that shows whether another agent is in a call."""

    def test_a_phone_with_a_lamp_is_told_that_the_agent_is_called_talks_and_is_free_again(self):
        watcher = Probe(self.lab.hosts["phone"], PORTS["phone"] + 2, self.lab.first_hop, "1002")
        self.addCleanup(watcher.close)
        told, free, over = [], threading.Event(), threading.Event()

        def watch():
            while not over.is_set():
                if text := watcher.requested(0.2):
                    told.append(text)
                    if "terminated" in text:
                        free.set()

        asked = [("Event", "dialog"), ("Expires", 600), ("Accept", "application/dialog-info+xml")]
        self.assertEqual(watcher.authorized("SUBSCRIBE", "1001", "1002", PASSWORD, asked).status, 200)
        watching = threading.Thread(target=watch)
        watching.start()
        try:
            phone = self.lab.side("phone", "watched-phone")
            phone.request("INVITE").answer("180 Ringing").pause(1500).answer("200 OK", body=phone.sdp(), to_invite=True)
            phone.request("ACK").request("BYE").answer("200 OK", tag=False)
            self.with_phone(phone, "trunk", self.calls("watched", DIRECT).pause(1500).within("BYE", 2).expect(200))
            free.wait(5)   # told a second after the one before it, at most
        finally:
            over.set()
            watching.join()
        states = [re.findall("<state>(.*?)</state>", text) for text in told]
        self.assertEqual(states, [[], ["early"], ["confirmed"], ["terminated"]], "\n".join(told))
        for text in told:
            self.assertRegex(text, r"(?m)^Subscription-State: active;expires=\d+\r$")
            self.assertRegex(text, 'entity="sip:1001@')
            self.assertNotIn("447700900123", text)


class Strangers:
    """Anybody reaches routing points, within a stranger's share."""

    def test_a_stranger_has_its_call_and_no_more_and_never_a_trunk(self):
        first = self.lab.side("stranger", "stranger")
        first.begin("INVITE", NUMBER, body=first.sdp()).trying().expect(180, optional=True).expect(200, ("*", "m=audio"))
        first.within("ACK", 1).pause(3000).within("BYE", 2).expect(200)
        second = self.lab.side("same stranger", "same-stranger").pause(1000)
        second.begin("INVITE", NUMBER, body=second.sdp()).trying().refused(503, NUMBER, ("Retry-After:", "[0-9]+"))
        self.plays("same stranger", second, ("stranger", first))
        fraud = self.lab.side("stranger", "fraud")
        self.plays("stranger", fraud.begin("INVITE", "9442079460000", body=fraud.sdp()).trying().refused(404, "9442079460000"))


def variant(family, transport, with_proxy=False, bases=(Trunks, Phones)):
    name = f"{transport.upper()}{family}" + ("ThroughKamailio" if with_proxy else "")
    return type(name, (*bases, unittest.TestCase), {"family": family, "transport": transport, "with_proxy": with_proxy})


UDP4, TCP6 = (variant(f, t, bases=(Trunks, Phones, Outwards, Lamps, Strangers)) for f, t in ((4, "udp"), (6, "tcp")))
TCP4, UDP6 = variant(4, "tcp"), variant(6, "udp")
UDP4Kamailio, UDP6Kamailio = variant(4, "udp", True), variant(6, "udp", True)
TCP4Kamailio = variant(4, "tcp", True)

if __name__ == "__main__":
    own_network.enter()
    if os.environ.get(own_network.ENTERED):
        for host in HOSTS[6].values():
            subprocess.run(["ip", "address", "add", f"{host}/128", "dev", "lo"], check=True)
    else:
        print("without a network of its own: IPv6 is left out", file=sys.stderr)
        del UDP6, TCP6, UDP6Kamailio
    unittest.main(verbosity=2)
