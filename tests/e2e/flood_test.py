# SPDX-License-Identifier: Apache-2.0
"""Recorded calls while strangers flood the site: nothing of them is lost, others get through, and the log stays short."""
import argparse
import pathlib
import shutil
import sys
import tempfile
import unittest

from harness import BUILD, PORT_BASE, ROOT

sys.path.insert(0, str(ROOT / "bench"))
import flood  # noqa: E402


class Flood(unittest.TestCase):
    """bench/flood.py in short, with fewer calls. A machine that is too slow to send all of the flood may send less."""

    maxDiff = None

    def test_a_flood_costs_no_recorded_packet_and_keeps_nobody_out(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="sheaf-lab-"))
        wanted = argparse.Namespace(calls=20, rate=5000, least=2000, seconds=20, settle_s=0, only=None, port_base=PORT_BASE,
                                    program=BUILD / "sheaf")
        kept = f"kept for looking at: {folder}"
        try:
            out, problems = flood.play(folder, wanted)
        except Exception:
            print(f"\n{kept}", file=sys.stderr)
            raise
        print(f"{out['flood_per_s']} messages a second; {out['packets_stored']} packets stored; "
              f"{(out['rss_peak'] - out['rss_before']) / flood.MIB:.0f} MiB more; calls answered within {out['call_during_s']} s; "
              f"{out['log_lines']} lines of log")
        self.assertEqual(problems, [], f"{out}; {kept}")
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
