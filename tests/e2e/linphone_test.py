# SPDX-License-Identifier: Apache-2.0
"""The consult transfer with linphone as A1: it holds, calls the queue, and asks by REFER with Replaces to join the two."""
import unittest

import own_network
from harness import ADDRESSES, PORT_BASE, LabTest, scenarios
from lab.linphone import Linphone
from lab.people import TONES
from lab.stage import QUEUE_S, Stage, talk


class LinphoneConsults(LabTest):
    def linphone(self, stage):
        phone = Linphone(self.world.folder, "A1", (PORT_BASE + 560, PORT_BASE + 570), stage.dns["A1"],
                         self.world.passwords[stage.dns["A1"]], f"{ADDRESSES['london']}:{PORT_BASE}", TONES["A1"],
                         self.world.folder / "linphone-A1.log")
        self.addCleanup(phone.close)
        stage.not_ready("A1")
        return phone

    def test_linphone_consults_and_transfers(self):
        world = self.make_world()
        stage = Stage(world, phones=("C", "A2"))
        self.addCleanup(stage.close)
        people, a1 = stage.people, self.linphone(stage)
        since = people.call("C", stage.queue()[1], "london")
        stage.at("t0", people.wait("C", "established", since))
        talk(QUEUE_S)
        stage.ready("A1")
        a1.wait("incoming call")
        a1.send("answer")
        stage.times["t1"], _ = a1.wait(r"Call 1 with .* connected")
        people.hears("C", "A1", since=since)
        stage.not_ready("A1")
        talk()

        a1.send("pause")
        a1.wait("Call 1 with .* now paused")
        mark = a1.mark()
        a1.send(f"call {stage.queue_uri()}")
        stage.times["t2"], _ = a1.wait("Call 2 to .* in progress", mark)
        a1.wait("Call 2 with .* connected", mark)
        talk(QUEUE_S)
        scenarios.a2_answers(stage, ["A1"])
        talk()

        mark, since = a1.mark(), people.mark()
        a1.send("transfer 1 --to-call 2")
        stage.times["t5"], _ = a1.wait("Call [12] with .* ended", mark)
        people.hears("A2", "C", since=since)
        people.hears("C", "A2", since=since)
        scenarios.has_left(stage, "t5x", since)
        a1.wait("Call 1 with .* ended", mark)
        a1.wait("Call 2 with .* ended", mark)
        talk()
        scenarios.hang_up(stage, "t6")
        recording, problems, _ = scenarios.judge(stage, scenarios.oracle_of("consult-transfer"))
        self.assertEqual(problems, [], recording)

    def test_linphone_holds_takes_back_transfers_and_is_transferred_to(self):
        world = self.make_world()
        stage = Stage(world, phones=("C", "A2"))
        self.addCleanup(stage.close)
        people, a1 = stage.people, self.linphone(stage)
        since = people.call("C", stage.queue()[1], "london")
        people.wait("C", "established", since)
        stage.ready("A1")
        a1.wait("incoming call")
        a1.send("answer")
        a1.wait(r"Call 1 with .* connected")
        people.hears("C", "A1", since=since)
        stage.not_ready("A1")
        for command, heard in (("pause", []), ("resume", ["A1"])):
            since = people.mark()
            a1.send(command)
            people.hears("C", *heard, since=since)
        stage.ready("A2")
        mark, since = a1.mark(), people.mark()
        a1.send(f"transfer 1 {stage.uri('A2', at='london')}")
        people.wait("A2", "established", since)
        a1.wait("Call 1 with .* ended", mark)
        people.hears("C", "A2", since=since)
        stage.ready("A1")
        mark, since = a1.mark(), people.mark()
        people.send(cmd="refer", phone="A2", to=stage.uri("A1", at="paris"))
        a1.wait("incoming call", mark)
        a1.send("answer")
        people.wait("A2", "ended", since)
        people.hears("C", "A1", since=since)
        people.tell("C", "hangup")
        a1.wait("Call [0-9] with .* ended", mark)


if __name__ == "__main__":
    own_network.enter()
    unittest.main(verbosity=2)
