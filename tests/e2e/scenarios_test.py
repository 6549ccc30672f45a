# SPDX-License-Identifier: Apache-2.0
"""The oracle's scenarios from phones and from CTI, with consults recorded and conferences that are left."""
import unittest

from lanes import Lanes

from lab import scenarios


def plays(scenario, **how):
    return lambda world, lane: scenarios.play(world, scenario, lane=lane, **how)


class Scenarios(Lanes):
    sites = ("london", "paris", "hub")
    options = {"record_consult": True, "leave_conference": True}
    plays = {
        "two-step conference": plays("two-step-conference"),
        "consult, CTI": plays("consult-transfer", by="cti"),
        "consult, phone": plays("consult-transfer", by="phone"),
        "consult, phone, other dialog": plays("consult-transfer", by="phone", hold="inactive", named="consult"),
        "single-step conference": plays("single-step-conference"),
        "central queue, phone": plays("central-queue", by="phone"),
        "central queue, CTI": plays("central-queue", by="cti"),
    }

    def test_consult_transfer_by_cti_with_the_consult_recorded(self):
        self.played("consult, CTI")

    def test_consult_transfer_by_a_phone_that_holds_and_refers(self):
        self.played("consult, phone")

    def test_consult_transfer_by_refer_in_the_consults_dialog(self):
        self.played("consult, phone, other dialog")

    def test_single_step_conference_that_london_leaves(self):
        self.played("single-step conference")

    def test_two_step_conference_that_london_leaves(self):
        self.played("two-step conference")

    def test_central_queue_by_refer(self):
        self.played("central queue, phone")

    def test_central_queue_by_cti(self):
        self.played("central queue, CTI")


if __name__ == "__main__":
    unittest.main(verbosity=2)
