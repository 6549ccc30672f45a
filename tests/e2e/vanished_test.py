# SPDX-License-Identifier: Apache-2.0
"""A phone that vanishes without BYE, and a switch that is killed: the call ends all the same, and says why."""
import signal
import unittest

from harness import ADDRESSES, LabTest, People, scenarios
from lab.stage import Stage, talk

SILENCE_MS = 5000


class Vanished(LabTest):
    sites = ("london",)

    def talking(self, **options):
        """A1 talks to C, whose phone is a program of its own."""
        world = self.make_world(switch={"london": ["options_ms=1000"]},
                                media={"london": [f"rtp_silence_ms={SILENCE_MS}"]}, **options)
        self.stage = Stage(world, a2="london", phones=("A1",))
        self.addCleanup(self.stage.close)
        self.customers = People(world, log=world.folder / "customer.log")
        self.addCleanup(self.customers.close)
        self.customers.customer()
        since = self.customers.call("C", self.stage.queue()[1], "london")
        self.customers.wait("C", "established", since)
        scenarios.take_call(self.stage, "A1", 0)
        self.stage.people.hears("A1", "C")
        talk(1)
        return world

    def recording(self, world):
        recording = world.complete_recording()
        self.assertEqual(len(recording["segments"]), 1, recording)
        return recording

    def test_a_customer_who_vanishes_ends_the_call_as_no_more_media_comes(self):
        world = self.talking()
        mark = self.stage.people.mark()
        self.customers.popen.send_signal(signal.SIGSTOP)
        self.addCleanup(self.customers.popen.send_signal, signal.SIGCONT)
        self.stage.people.wait("A1", "ended", mark, timeout=SILENCE_MS / 1000 + 5)
        recording = self.recording(world)
        self.assertEqual([call["cause"] for call in recording["calls"]], ["media-timeout"], recording)
        self.assertGreater(recording["segments"][0]["duration_ms"], SILENCE_MS)
        self.assertIn("ended a leg whose peer sends no media", world.processes["london-switch"].tail(50))

    def test_a_switch_that_is_killed_and_starts_anew_ends_what_it_had_left(self):
        world = self.talking()
        switch = world.processes["london-switch"]
        switch.kill()
        talk(1)  # over the media server, which goes on
        switch.start()
        recording = self.recording(world)
        self.assertEqual([call["cause"] for call in recording["calls"]], ["lost-control"], recording)
        segment = recording["segments"][0]
        self.assertEqual((segment["state"], segment["cause"]), ("stored", "lost-control"), recording)
        self.assertGreater(segment["duration_ms"], 1800)
        self.assertIn("london/london-1 has started anew", world.processes["london-media"].tail(50))
        # The phones' calls are unknown to the new run: their BYE ends them, and the next call is taken.
        for people, who in ((self.stage.people, "A1"), (self.customers, "C")):
            people.wait(who, "ended", people.tell(who, "hangup"))
        self.stage.people.send(cmd="register", phone="A1")
        since = self.customers.call("C", self.stage.queue()[1], "london")
        self.customers.wait("C", "established", since)
        mark = self.stage.people.mark()
        scenarios.take_call(self.stage, "A1", mark)
        self.stage.people.hears("A1", "C", since=mark)


class Registered(LabTest):
    """london is registered with the hub, as if that were a carrier."""
    sites = ("london", "hub")

    def test_a_trunk_that_is_registered_with_brings_calls_and_takes_them(self):
        world = self.make_world(start=False, names={"hub": ("Tom",)})
        dn = world.agents_of("hub")[0][0]
        path = world.folder / "london-switch.toml"
        text = path.read_text()
        # Not as a site of ours, but as a trunk that wants to be registered with, by digest.
        head, tail = text.split("[[switch.site]]", 1)
        tail = tail[tail.index("[[switch.token]]"):].replace(f'"agent:{dn}@hub"', f'"agent:{world.agents_of("london")[0][0]}"')
        trunk = ["[[switch.trunk]]", 'name="pbx"', f'addresses=["sip:{ADDRESSES["hub"]}:{world.ports.sip}"]', f'user="{dn}"',
                 f'password="{world.passwords[dn]}"', "register=true", "", "[[switch.routing_point]]", 'dn="7000"',
                 f'numbers=["{dn}"]', f'targets=["agent:{world.agents_of("london")[0][0]}"]', ""]
        path.write_text(head + tail + "\n" + "\n".join(trunk))
        world.start()
        world.wait_for("the registration", lambda: "registered with a trunk" in world.processes["london-switch"].tail(50))
        world.set_agent("hub", dn, "ready")
        people = People(world)
        self.addCleanup(people.close)
        people.agent("A1", "london", world.agents_of("london")[0][0])
        world.set_agent("london", world.agents_of("london")[0][0], "ready")
        people.customer()
        since = people.call("C", dn, "hub")
        people.wait("A1", "established", since)
        people.hears("A1", "C", since=since)
        people.hears("C", "A1", since=since)
        people.wait("A1", "ended", people.tell("C", "hangup"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
