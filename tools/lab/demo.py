# SPDX-License-Identifier: Apache-2.0
"""scripts/demo: starts the lab, plays scenarios, says what the archive shows."""
import argparse
import json
import pathlib
import signal
import socket
import sys
import threading
import time

from . import scenarios
from .world import ADDRESSES, World


def check_address(parser, address):
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError as error:
        parser.error(f"--listen {address}: {error.strerror or error}")


def arguments(argv):
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Three sites, one archive and simulated people on "
                                     "loopback: plays the multi-site scenarios over real SIP and RTP.")
    parser.add_argument("--once", action="store_true", help="exit when done; status 0 only if the archive is right")
    parser.add_argument("--scenario", action="append", metavar="ID", help="repeatable; default: all that exist")
    parser.add_argument("--json", metavar="FILE", help="write the results there")
    parser.add_argument("--keep", metavar="DIR", help="leave the lab's data there")
    parser.add_argument("--port-base", type=int, metavar="N", help="use only ports N to N+999 at each lab address")
    parser.add_argument("--agents", choices=("sip", "pbx"), help="whose switch central-queue's agents have; pbx is not built yet")
    parser.add_argument("--listen", metavar="ADDR", help="london's address, an address of this machine that a real phone reaches")
    parser.add_argument("--story", action="store_true", help="the two-minute story; not built yet")
    parser.add_argument("--build", default="build/release", help=argparse.SUPPRESS)
    parser.add_argument("--started", type=float, default=time.time(), help=argparse.SUPPRESS)
    chosen = parser.parse_args(argv)
    if chosen.agents == "pbx":
        parser.error("--agents pbx: agents of a foreign switch cannot be played yet; --agents sip can")
    if chosen.story:
        parser.error("--story: there is no story yet")
    if chosen.listen is not None:
        check_address(parser, chosen.listen)
    for scenario in chosen.scenario or []:
        known = [s["id"] for s in scenarios.ORACLE["scenarios"] + scenarios.ORACLE["also"]]
        if scenario not in known:
            parser.error(f"no scenario {scenario}; there are {', '.join(known)}")
        if scenario not in scenarios.PLAYERS:
            parser.error(f"scenario {scenario} cannot be played yet; those that can: {', '.join(scenarios.PLAYERS)}")
    if chosen.port_base is not None and not 1024 <= chosen.port_base <= 64536:
        parser.error("--port-base takes 1024 to 64536")
    return chosen


def show(recording):
    print(f"    recording {recording['id']} ({recording['state']}, {recording['duration_ms'] / 1000:.1f} s)")
    parties = {p["id"]: p for p in recording["parties"]}
    for segment in sorted(recording["segments"], key=lambda s: s["started_at"] or ""):
        party = parties.get(segment["recorded_party"], {})
        print(f"      {segment['site']:<8} {party.get('address', '?'):<6} {(segment['duration_ms'] or 0) / 1000:5.1f} s  "
              f"calluuid {segment['calluuid']}  {(segment['media'] or {}).get('url', segment['state'])}")
        for part in segment["timeline"]:
            who = ", ".join(sorted(parties.get(p, {}).get("address", "?") for p in part["parties"]))
            print(f"        {part['from_ms'] / 1000:5.1f} to {part['to_ms'] / 1000:5.1f} s  {part['label']}: {who}")
    for link in recording["links"]:
        rules = ", ".join(f"{e['rule']} ({e['source']})" for e in link["evidence"])
        print(f"      link {link['kind']}: {rules}")
    for gap in recording["gaps"]:
        print(f"      not recorded {gap['from'][11:23]} to {gap['to'][11:23]}: {gap['reason']}")


def write_results(chosen, world, results):
    if chosen.json:
        pathlib.Path(chosen.json).write_text(json.dumps(
            {"archive": world.archive_url(), "token": world.token, "results": results}, indent=1) + "\n")


def main(argv=None):
    chosen = arguments(argv)
    # Progress is for a person watching, so each line shows at once.
    sys.stdout.reconfigure(line_buffering=True)
    if chosen.listen:
        ADDRESSES["london"] = chosen.listen
    world = World(pathlib.Path(chosen.build).resolve(), keep=chosen.keep, port_base=chosen.port_base)
    results, failed = [], False
    write_results(chosen, world, results)   # there is one, whatever happens
    wake = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: wake.set())
    try:
        world.start()
        print(f"lab up: london, paris, hub, archive at {world.archive_url()} ({time.time() - chosen.started:.1f} s)")
        for scenario in chosen.scenario or scenarios.PLAYERS:
            if wake.is_set():
                failed |= chosen.once   # the others are not shown to be as they should
                break
            try:
                recording, problems, _ = scenarios.play(world, scenario)
            except Exception as error:   # what goes wrong with one is told, and the others are played
                recording, problems = None, [f"{type(error).__name__}: {error}"]
            failed |= bool(problems)
            print(f"{'ok  ' if not problems else 'FAIL'} {scenario} ({time.time() - chosen.started:.1f} s)")
            if recording:
                show(recording)
            for problem in problems:
                print(f"    {problem}")
            results.append({"scenario": scenario, "ok": not problems,
                            "recording_id": recording["id"] if recording else None, "problems": problems,
                            **({"agents": "sip"} if scenario == "central-queue" else {})})
            write_results(chosen, world, results)
        if not chosen.once and not wake.is_set():
            if chosen.listen:
                print(f"\na phone can register at sip:{chosen.listen}:{world.ports.sip} as 1002, password "
                      f"{world.passwords['1002']}, and call 8000")
            print(f"\nsee and hear it: {world.archive_url()}/login?token={world.token}\nCtrl-C ends the lab")
            wake.wait()
        problems = world.stop()
        for problem in problems:
            print(problem)
        failed |= bool(problems)
    except (RuntimeError, TimeoutError, OSError) as error:
        failed = True
        print(f"FAIL {error}")
    finally:
        world.close(failed=failed)
        if failed:
            print(f"logs: {world.folder}")
    return 1 if failed or (chosen.once and not results) else 0


if __name__ == "__main__":
    sys.exit(main())
