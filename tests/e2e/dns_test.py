# SPDX-License-Identifier: Apache-2.0
"""A trunk whose address is a name: it leads by NAPTR, SRV and A to carriers, one after the other, and elsewhere when DNS says so."""
import pathlib
import shutil
import signal
import socket
import sys
import tempfile
import time
import unittest

from harness import BUILD, PORT_BASE
from lab.dnsmasq import Dnsmasq
from lab.world import Process
from sip_probe import Probe
from sipp import Run, Side

HERE, CALLER = "127.0.0.1", "127.0.0.9"
CARRIERS = {"a": "127.0.0.21", "b": "127.0.0.22", "c": "127.0.0.23"}
NUMBER, AWAY, FAR = "+442071234567", "+442071234888", "+33142345678"
DNS_PORT, CALLER_PORT, FAR_PORT = PORT_BASE + 53, PORT_BASE + 20, PORT_BASE + 60
FOUND, MISSED = "peers found by name", "peers not found by name"


def records(*carriers):
    """far.test's servers, the first preferred."""
    return (["naptr-record=far.test,10,10,s,SIPS+D2T,,_sips._tcp.far.test",
             "naptr-record=far.test,20,10,s,SIP+D2U,,_sip._udp.far.test"]
            + [f"srv-host=_sip._udp.far.test,{name}.far.test,{FAR_PORT},{10 * priority},0"
               for priority, name in enumerate(carriers, 1)]
            + [f"host-record={name}.far.test,{address}" for name, address in CARRIERS.items()])


class Named(unittest.TestCase):

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sheaf-dns-"))
        self.dns, self.processes = None, {}
        self.addCleanup(self.clean_up)
        texts = {"switch": f"""[node]
site="london"
name="london-1"
data="{self.folder}/switch"
[switch]
listen=["udp:{HERE}:{PORT_BASE}", "tcp:{HERE}:{PORT_BASE}"]
media=["sip:media.test:{PORT_BASE + 10}"]
dns=["{HERE}:{DNS_PORT}", "{HERE}:{DNS_PORT + 1}"]
options_ms=0
[switch.limits]
stranger_calls=1
[[switch.trunk]]
name="caller"
addresses=["sip:{CALLER}:{CALLER_PORT}"]
[[switch.trunk]]
name="far"
addresses=["sip:far.test"]
[[switch.agent]]
dn="1002"
password="a secret"
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
overflow="trunk:{FAR}@far"
overflow_after_ms=100
""", "media": f"""[node]
site="london"
name="london-media-1"
data="{self.folder}/media"
[media]
sip=["udp:{HERE}:{PORT_BASE + 10}"]
rtp="{HERE}:{PORT_BASE + 200}-{PORT_BASE + 399}"
prompts="{BUILD}/prompts"
allow=["{HERE}"]
rtp_silence_ms=0
"""}
        for name, text in texts.items():
            path = self.folder / f"{name}.toml"
            path.write_text(text)
            self.processes[name] = Process(name, BUILD / "sheaf", path, self.folder / f"{name}.log")
        self.processes["media"].start()

    def clean_up(self):
        for process in self.processes.values():
            process.kill()
        if self.dns:
            self.dns.close()
        if any(test is self for test, _ in self._outcome.result.failures + self._outcome.result.errors):
            print(f"\nkept for looking at: {self.folder}\n{self.processes['switch'].tail()}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def dns_says(self, *carriers):
        if self.dns:
            self.dns.close()
        self.dns = Dnsmasq((HERE, DNS_PORT), [f"host-record=media.test,{HERE}", *records(*carriers)])

    def log(self):
        return (self.folder / "switch.log").read_text()

    def wait_for_line(self, *words, since=0, timeout=20):
        deadline = time.monotonic() + timeout
        while not any(all(word in line for word in words) for line in self.log()[since:].splitlines()):
            self.assertLess(time.monotonic(), deadline, f"no line with {words} in {self.log()[since:]}")
            time.sleep(0.05)

    def call_goes_to(self, *carriers, wait_ms=1500):
        """A call of the other trunk's that is handed over to the named one. The last of `carriers` answers; the ones
        before it are sent an INVITE, too, and stay silent."""
        self.calls = getattr(self, "calls", 0) + 1
        runs = []
        for name in carriers:
            side = Side(f"carrier-{name}-{self.calls}", FAR, CARRIERS[name])
            side.request("INVITE", ("*", f"^INVITE sip:.{FAR[1:]}@far.test SIP/2.0"), ("To:", f"<sip:.{FAR[1:]}@far.test>"))
            if name == carriers[-1]:
                side.answer("180 Ringing").answer("200 OK", body=side.sdp()).request("ACK")
                side.request("BYE").answer("200 OK", tag=False)
            runs.append(Run(side, self.folder / "sipp", CARRIERS[name], FAR_PORT, f"{HERE}:{PORT_BASE}"))
        side = Side(f"caller-{self.calls}", "+447700900123", CALLER)
        side.begin("INVITE", AWAY, body=side.sdp()).trying()
        side.expect(180, optional=True).expect(183, optional=True).expect(200).within("ACK", 1)
        side.pause(wait_ms).within("BYE", 2).expect(200)
        runs.append(Run(side, self.folder / "sipp", CALLER, CALLER_PORT, f"{HERE}:{PORT_BASE}"))
        problems = [problem for problem in (run.problem() for run in reversed(runs)) if problem]
        for run in runs:
            run.close()
        self.assertFalse(problems, "\n".join(problems))

    def calls_taken_from(self, address):
        """Of two at once; a stranger may have one."""
        probes = [Probe(address, 0, (HERE, PORT_BASE)) for _ in range(2)]
        statuses = [probe.invite(NUMBER).status for probe in probes]
        for probe, status in zip(probes, statuses):
            if status == 200:
                self.assertEqual(probe.bye(NUMBER).status, 200)
            probe.close()
        return statuses.count(200)

    def test_a_name_leads_to_one_carrier_after_the_other_and_elsewhere_when_dns_says_so(self):
        self.dns_says("a", "b")
        switch = self.processes["switch"].start()
        # It says that it is ready when it knows where they are.
        self.assertIn(FOUND, self.log())
        self.assertIn(f"udp:{CARRIERS['a']}:{FAR_PORT} udp:{CARRIERS['b']}:{FAR_PORT}", self.log())
        self.call_goes_to("a")
        self.assertEqual(self.calls_taken_from(CARRIERS["b"]), 2)
        self.assertEqual(self.calls_taken_from(CARRIERS["c"]), 1)
        # UDP says nothing of who is silent: the next address has its turn after four seconds.
        self.call_goes_to("a", "b", wait_ms=6000)

        self.dns_says("c")
        mark = len(self.log())
        switch.popen.send_signal(signal.SIGHUP)
        self.wait_for_line(FOUND, "far.test", f"udp:{CARRIERS['c']}:{FAR_PORT}", since=mark)
        self.call_goes_to("c")
        self.assertEqual(self.calls_taken_from(CARRIERS["b"]), 1)
        self.assertEqual(self.calls_taken_from(CARRIERS["c"]), 2)

        # Who is not told anything stays where it was.
        self.dns.close()
        mark = len(self.log())
        switch.popen.send_signal(signal.SIGHUP)
        self.wait_for_line(MISSED, "far.test", f"stays at udp:{CARRIERS['c']}:{FAR_PORT}", since=mark)
        self.call_goes_to("c")

    def test_a_switch_starts_without_dns_and_finds_its_peers_once_that_answers(self):
        switch = self.processes["switch"].start()
        self.wait_for_line(MISSED, "far.test", "media.test")
        probe = Probe(CALLER, CALLER_PORT, (HERE, PORT_BASE))
        self.addCleanup(probe.close)
        self.assertEqual(probe.invite(NUMBER).status, 503)  # there is no media server
        probe.close()
        self.dns_says("b")
        switch.popen.send_signal(signal.SIGHUP)
        self.wait_for_line(FOUND, "far.test", CARRIERS["b"], "media.test")
        self.call_goes_to("b")

    def test_a_switch_does_not_wait_long_for_a_dns_that_is_silent(self):
        for port in (DNS_PORT, DNS_PORT + 1):
            silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.addCleanup(silent.close)
            silent.bind((HERE, port))
        before = time.monotonic()
        self.processes["switch"].start()
        took = time.monotonic() - before
        self.assertGreater(took, 4, "nobody was asked")
        self.assertLess(took, 8)
        self.assertIn(MISSED, self.log())
        self.assertIn("DNS does not answer in time", self.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
