# SPDX-License-Identifier: Apache-2.0
"""A phone in a network of its own, behind a router that translates addresses: it registers, calls, holds, transfers.

                 203.0.113.1          203.0.113.2   10.9.0.1            10.9.0.2
    switch, media, customer  ----------  router (masquerades)  ----------  baresip
"""
import ctypes
import os
import socket
import subprocess
import unittest

import own_network
from harness import ADDRESSES, PORT_BASE, LabTest, scenarios
from lab.baresip import Baresip
from lab.linphone import Linphone
from lab.people import TONES

OUTSIDE, ROUTER, INSIDE, PHONE = "203.0.113.1", "203.0.113.2", "10.9.0.1", "10.9.0.2"   # RFC 5737 §3, RFC 1918
CLONE_NEWNET = 0x40000000
ADDRESSES["london"] = OUTSIDE


class Network:
    """A network namespace, there as long as a process of it sleeps."""

    def __init__(self):
        self.popen = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        own = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{self.popen.pid}/ns/net") == own:
            if self.popen.poll() is not None:
                raise RuntimeError("no network namespace")
        self.run("ip", "link", "set", "lo", "up")

    def prefix(self):
        return ["nsenter", "-t", str(self.popen.pid), "-n"]

    def run(self, *command):
        subprocess.run([*self.prefix(), *command], check=True, stdout=subprocess.DEVNULL)

    def connect(self, address):
        """A connection that begins in there."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as own, open(f"/proc/{self.popen.pid}/ns/net") as there:
            if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                return socket.create_connection(address, 1)
            finally:
                libc.setns(own.fileno(), CLONE_NEWNET)

    def packets_in(self, device):
        counted = subprocess.run([*self.prefix(), "cat", "/proc/net/dev"], check=True, capture_output=True, text=True).stdout
        line = next(line for line in counted.splitlines() if line.strip().startswith(device + ":"))
        return int(line.split(":")[1].split()[1])

    def close(self):
        self.popen.kill()
        self.popen.wait()


def wire(network, near, near_address, far_network, far, far_address):
    """A cable between two namespaces; `network` None: this one."""
    prefix = network.prefix() if network else []
    subprocess.run([*prefix, "ip", "link", "add", "dev", near, "type", "veth", "peer", "name", far,
                    "netns", str(far_network.popen.pid)], check=True)
    for where, device, address in ((prefix, near, near_address), (far_network.prefix(), far, far_address)):
        subprocess.run([*where, "ip", "address", "add", f"{address}/24", "dev", device], check=True)
        subprocess.run([*where, "ip", "link", "set", device, "up"], check=True)


class BehindNat(LabTest):
    sites = ("london",)

    @classmethod
    def setUpClass(cls):
        cls.router, cls.inside = Network(), Network()
        cls.addClassCleanup(cls.router.close)
        cls.addClassCleanup(cls.inside.close)
        wire(None, "outer0", OUTSIDE, cls.router, "router0", ROUTER)
        wire(cls.router, "router1", INSIDE, cls.inside, "phone0", PHONE)
        cls.inside.run("ip", "route", "add", "default", "via", INSIDE)
        cls.router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        cls.router.run("iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "router0", "-j", "MASQUERADE", "--random")

    def phone(self, dn):
        phone = Baresip(self.world.folder, "A1", PHONE, (5060, 5065, 10000), dn, self.world.passwords[dn],
                        f"{OUTSIDE}:{PORT_BASE}", TONES["A1"], self.world.folder / "baresip.log",
                        prefix=self.inside.prefix(), connect=self.inside.connect)
        self.addCleanup(phone.close)
        phone.send("auplay", "aubridge,nil")
        self.world.wait_for(f"{dn} at london", lambda: self.world.agent_state("london", dn) == "not-ready")
        return phone

    def stage(self):
        world = self.make_world()
        stage = scenarios.Stage(world, a2="london", phones=("C", "A2"))
        self.addCleanup(stage.close)
        return stage, stage.people, self.phone("1001")

    def heard_by_phone(self):
        """Packets a second that reach the phone."""
        before = self.inside.packets_in("phone0")
        scenarios.talk(1)
        return self.inside.packets_in("phone0") - before

    def in_talk(self, stage, people, phone):
        since = people.call("C", stage.queue()[1], "london")
        people.wait("C", "established", since)
        self.world.set_agent("london", "1001", "ready")
        phone.wait("CALL_INCOMING")
        phone.send("accept")
        phone.wait("CALL_ESTABLISHED")
        people.hears("C", "A1", since=since)
        self.assertGreater(self.heard_by_phone(), 40)

    def test_it_is_called_holds_and_takes_back_and_is_hung_up_on(self):
        stage, people, phone = self.stage()
        self.in_talk(stage, people, phone)
        mark = people.mark()
        phone.send("hold")
        people.hears("C", since=mark)   # the hold's music is no speaker's
        mark = people.mark()
        phone.send("resume")
        people.hears("C", "A1", since=mark)
        self.assertGreater(self.heard_by_phone(), 40)
        mark = phone.mark()
        people.tell("C", "hangup")
        phone.wait("CALL_CLOSED", mark)

    def test_it_transfers_and_is_transferred(self):
        stage, people, phone = self.stage()
        self.in_talk(stage, people, phone)
        self.world.set_agent("london", "1001", "not-ready")
        stage.ready("A2")
        mark, since = phone.mark(), people.mark()
        phone.send("transfer", f"sip:1002@{OUTSIDE}:{PORT_BASE}")
        people.wait("A2", "established", since)
        phone.wait("CALL_CLOSED", mark)
        people.hears("C", "A2", since=since)
        mark = phone.mark()
        self.world.set_agent("london", "1001", "ready")
        people.send(cmd="refer", phone="A2", to=f"sip:1001@{OUTSIDE}:{PORT_BASE}")
        phone.wait("CALL_INCOMING", mark)
        since = people.mark()
        phone.send("accept")
        phone.wait("CALL_ESTABLISHED", mark)
        people.hears("C", "A1", since=since)
        self.assertGreater(self.heard_by_phone(), 40)
        mark = phone.mark()
        phone.send("hangup")
        people.wait("C", "ended", since)

    def test_it_calls(self):
        stage, people, phone = self.stage()
        stage.ready("A2")
        since = people.mark()
        phone.send("dial", f"sip:1002@{OUTSIDE}:{PORT_BASE}")
        people.wait("A2", "established", since)
        people.hears("A2", "A1", since=since)
        self.assertGreater(self.heard_by_phone(), 40)
        mark = phone.mark()
        people.tell("A2", "hangup")
        phone.wait("CALL_CLOSED", mark)

    def test_linphone_is_called_holds_and_takes_back(self):
        world = self.make_world()
        stage = scenarios.Stage(world, a2="london", phones=("C",))
        self.addCleanup(stage.close)
        people = stage.people
        phone = Linphone(world.folder, "A1", (5060, 10000), "1001", world.passwords["1001"], f"{OUTSIDE}:{PORT_BASE}",
                         TONES["A1"], world.folder / "linphone.log", prefix=self.inside.prefix())
        self.addCleanup(phone.close)
        stage.not_ready("A1")
        since = people.call("C", stage.queue()[1], "london")
        people.wait("C", "established", since)
        stage.ready("A1")
        phone.wait("incoming call")
        phone.send("answer")
        phone.wait(r"Call 1 with .* connected")
        people.hears("C", "A1", since=since)
        self.assertGreater(self.heard_by_phone(), 40)
        for command, heard in (("pause", []), ("resume", ["A1"])):
            since = people.mark()
            phone.send(command)
            people.hears("C", *heard, since=since)
        self.assertGreater(self.heard_by_phone(), 40)
        mark = phone.mark()
        people.tell("C", "hangup")
        phone.wait("Call 1 with .* ended", mark)


if __name__ == "__main__":
    own_network.enter()
    if not os.environ.get(own_network.ENTERED):
        print("without a network of its own there is no NAT to stand behind: left out")
        raise SystemExit(77)   # left out, not passed
    unittest.main(verbosity=2)
