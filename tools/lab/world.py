# SPDX-License-Identifier: Apache-2.0
"""Starts real programs as sites and an archive on loopback, from configuration files it writes."""
import json
import os
import pathlib
import secrets
import select
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ADDRESSES = {"london": "127.0.0.1", "paris": "127.0.0.2", "hub": "127.0.0.3", "carrier": "127.0.0.9", "keeper": "127.0.0.10"}
PREFIX = {"london": "1", "paris": "2", "hub": "3"}
NUMBERS = {"london": "+442071234567", "paris": "+33142345678", "hub": "+18005550100"}
NAMES = {"london": ("Ada", "Alan"), "paris": ("Blaise", "Sophie"), "hub": ()}
LANES_MAX = 20  # of a world: as many as there are ports for phones


def dn_of(site, lane, number):
    return f"{PREFIX[site]}{lane:02}{number}"


def routing_point(site, lane=0):
    """(dn, number from outside) of a lane's queue: london's first is 8000, the hub's 3800."""
    return (f"8{lane:02}0" if site == "london" else f"{PREFIX[site]}8{lane:02}",
            NUMBERS[site] + (str(lane) if lane else ""))


class Ports:
    """The lab's ports at each of its addresses; with a base N all of them lie in N to N+999."""

    def __init__(self, base=None):
        self.base = base
        if base is None:
            self.sip, self.media, self.cti, self.archive = 5060, 5070, 8090, 8080
            self.rtp, self.phone_rtp, self.phone_sip = (20000, 28999), (29000, 29999), 5080
        else:
            self.sip, self.media, self.cti, self.archive = base, base + 10, base + 30, base + 80
            self.rtp, self.phone_rtp, self.phone_sip = (base + 100, base + 599), (base + 600, base + 999), base + 40


class Process:
    """One `sheaf run`, its log and its life. Ready once it has said so on its ready descriptor."""

    def __init__(self, name, program, config, log, environment=None):
        self.name, self.program, self.config, self.log = name, program, config, log
        self.environment = environment or {}
        self.popen = None
        self.bound = {}

    def start(self, timeout=20):
        read_fd, write_fd = os.pipe()
        with open(self.log, "ab") as log:
            self.popen = subprocess.Popen(
                [str(self.program), "run", "--config", str(self.config), "--ready-fd", str(write_fd)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[write_fd],
                start_new_session=True,  # Ctrl-C is for the lab, which then ends them in order
                env={**os.environ, **self.environment})
        os.close(write_fd)
        line, deadline = b"", time.monotonic() + timeout
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([read_fd], [], [], max(0, deadline - time.monotonic()))
            chunk = os.read(read_fd, 65536) if ready else b""
            if not chunk:
                os.close(read_fd)
                raise RuntimeError(f"{self.name} did not start: {self.tail()}")
            line += chunk
        os.close(read_fd)
        self.bound = json.loads(line)
        return self

    def running(self):
        return self.popen is not None and self.popen.poll() is None

    def stop(self, timeout=20):
        if self.running():
            self.popen.terminate()
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise RuntimeError(f"{self.name} did not stop in {timeout} s: {self.tail()}") from None
        return self.popen.returncode if self.popen else None

    def kill(self):
        if self.running():
            self.popen.send_signal(signal.SIGKILL)
            self.popen.wait()

    def tail(self, lines=15):
        try:
            return "\n".join(pathlib.Path(self.log).read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"


class World:
    """Sites with a switch and a media server each, and one archive. Beside the usual carrier there is one, `keeper`, that
    may not be asked to move a call. `options` may give further lines of configuration: `switch` and `media` (site -> lines), `trunk`
    (name -> lines), `agent` (dn -> lines), `routing_point` and `further_points` (both: function of site and lane that gives lines);
    agents at a site that has none (`names`: site -> names), record rules (`record_trunk`: of all or by name; `record_point`: function of
    site and lane), and where a site's own HTTP API is to be asked for by others (`site_http`). Each of `lanes` has agents and a
    queue of its own at every site, so that as many conversations go on beside each other."""

    def __init__(self, build, keep=None, port_base=None, sites=("london", "paris", "hub"), options=None):
        self.build = pathlib.Path(build)
        self.program = self.build / "sheaf"
        self.keep = keep is not None
        self.folder = pathlib.Path(keep) if keep else pathlib.Path(tempfile.mkdtemp(prefix="sheaf-lab-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ports = Ports(port_base)
        self.sites = list(sites)
        self.options = options or {}
        self.lanes = self.options.get("lanes", 1)
        self.names = {**NAMES, **self.options.get("names", {})}
        if self.lanes > LANES_MAX:
            raise ValueError(f"a world has {LANES_MAX} lanes at most")
        self.token = secrets.token_hex(16)
        self.cti_token = secrets.token_hex(16)
        self.passwords = {dn: secrets.token_hex(8) for site in self.sites for dn, _ in self.agents_of(site)}
        self.archive_port = self.ports.archive
        self.site_archive_url = self.options.get("site_archive_url", f"http://127.0.0.1:{self.archive_port}")
        self.processes = {}
        self._secrets()
        self._write()

    def agents_of(self, site, lanes=None):
        """(dn, name) of a site's agents: 1001 and 1002 in london's first lane, 1011 and 1012 in its second."""
        return [(dn_of(site, lane, number), name) for lane in (range(self.lanes) if lanes is None else lanes)
                for number, name in enumerate(self.names[site], 1)]

    # ---- configuration files ------------------------------------------------------------------------------------
    def _secret(self, name, value=None):
        path = self.folder / "secrets" / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            path.write_text((value or secrets.token_hex(24)) + "\n")
            path.chmod(0o600)
        return f'"file:{path}"'

    def _secrets(self):
        self._secret("reader", self.token)
        self._secret("desktop", self.cti_token)
        self.token = (self.folder / "secrets/reader").read_text().strip()
        self.cti_token = (self.folder / "secrets/desktop").read_text().strip()
        for dn in self.passwords:
            self._secret(f"agent-{dn}", self.passwords[dn])
            self.passwords[dn] = (self.folder / f"secrets/agent-{dn}").read_text().strip()

    def pair_secret(self, a, b):
        return self._secret("site-" + "-".join(sorted((a, b))))

    def _archive_toml(self):
        lines = ["[node]", 'site="archive"', 'name="archive-1"', f'data="{self.folder}/archive"', "",
                 "[archive]", f'http="127.0.0.1:{self.archive_port}"', 'auth="token"', 'database="sqlite"',
                 'objects="files"', f"settle_ms={self.options.get('settle_ms', 3600000)}", "",
                 "[[archive.token]]", 'name="lab"', f"secret={self._secret('reader')}", 'scope="admin"', ""]
        for site in self.sites:
            lines += ["[[archive.token]]", f'name="{site}"', f"secret={self._secret('archive-' + site)}", 'scope="site"',
                      'tenant="default"', f'site="{site}"', f'nodes=["{site}-1", "{site}-media-1"]', ""]
        return lines

    def _switch_toml(self, site):
        p, host = self.ports, ADDRESSES[site]
        others = [s for s in self.sites if s != site]
        lines = ["[node]", f'site="{site}"', f'name="{site}-1"', f'data="{self.folder}/{site}-switch"', "",
                 "[switch]", f'listen=["udp:{host}:{p.sip}", "tcp:{host}:{p.sip}"]', f'media=["sip:{host}:{p.media}"]',
                 f'archive="{self.site_archive_url}"', f"archive_token={self._secret('archive-' + site)}",
                 f'cti="{host}:{p.cti}"', 'cti_auth="token"',
                 *(f"{key}={str(self.options.get(key, False)).lower()}"
                   for key in ("ready_on_register", "record_consult", "record_hold", "leave_conference")),
                 *self.options.get("switch", {}).get(site, []), ""]
        record_trunk = self.options.get("record_trunk", "never")
        for carrier in ("carrier", "keeper"):
            record = record_trunk if isinstance(record_trunk, str) else record_trunk.get(carrier, "never")
            lines += ["[[switch.trunk]]", f'name="{carrier}"', f'addresses=["sip:{ADDRESSES[carrier]}:{p.sip}"]',
                      f"refer={str(carrier == 'carrier').lower()}",
                      f'record="{record}"', *self.options.get("trunk", {}).get(carrier, []), ""]
        for other in others:
            lines += ["[[switch.site]]", f'name="{other}"', f'address="sip:{ADDRESSES[other]}:{p.sip}"',
                      f'http="{self.options.get("site_http", {}).get(other, f"http://{ADDRESSES[other]}:{p.cti}")}"',
                      f"secret={self.pair_secret(site, other)}",
                      f'prefix="{PREFIX[other]}"', f"return_transfers={str(other == 'hub').lower()}", ""]
        lines += ["[[switch.token]]", 'name="lab"', f"secret={self._secret('desktop')}", 'devices=["*"]', ""]
        for dn, name in self.agents_of(site):
            record = self.options.get("record", {}).get(dn, "always")
            lines += ["[[switch.agent]]", f'dn="{dn}"', f'name="{name}"', f"password={self._secret('agent-' + dn)}",
                      f'record="{record}"', *self.options.get("agent", {}).get(dn, []), ""]
        for lane in range(self.lanes):
            lines += self._routing_point_toml(site, lane)
            lines += self.options.get("further_points", lambda site, lane: [])(site, lane)
        lines += ["[[switch.route]]", 'match="^9(.*)$"', 'to="trunk:carrier"', 'number="+$1"', ""]
        return lines

    def _routing_point_toml(self, site, lane):
        """A queue for the lane's agents, here and at the other sites. The hub's records what it routes, centrally."""
        dn, number = routing_point(site, lane)
        targets = self.targets(site, lane)
        record = self.options.get("record_point", lambda site, lane: "always" if site == "hub" else "never")(site, lane)
        return ["[[switch.routing_point]]", f'dn="{dn}"', f'numbers=["{number}"]',
                'treatment=["say:welcome", "music:default"]', f"targets={json.dumps(targets)}",
                f'record="{record}"',
                *self.options.get("routing_point", lambda site, lane: [])(site, lane), ""]

    def targets(self, site, lane):
        """The lane's agents, those of the site first."""
        return [f"agent:{agent}" + (f"@{other}" if other != site else "")
                for other in sorted(self.sites, key=lambda s: s != site)
                for agent, _ in self.agents_of(other, [lane])]

    def _media_toml(self, site):
        p, host = self.ports, ADDRESSES[site]
        low, high = self.options.get("rtp", {}).get(site, p.rtp)
        return ["[node]", f'site="{site}"', f'name="{site}-media-1"', f'data="{self.folder}/{site}-media"', "",
                "[media]", f'sip=["udp:{host}:{p.media}", "tcp:{host}:{p.media}"]', f'rtp="{host}:{low}-{high}"',
                f'archive="{self.site_archive_url}"', f"archive_token={self._secret('archive-' + site)}",
                f'format="{self.options.get("format", "wav")}"', f'prompts="{self.build}/prompts"',
                f'allow=["{host}"]', *self.options.get("media", {}).get(site, []), ""]

    def _write(self):
        configs = {"archive": self._archive_toml()}
        for site in self.sites:
            configs[f"{site}-switch"] = self._switch_toml(site)
            configs[f"{site}-media"] = self._media_toml(site)
        for name, lines in configs.items():
            path = self.folder / f"{name}.toml"
            path.write_text("\n".join(lines))
            self.processes[name] = Process(name, self.program, path, self.folder / f"{name}.log",
                                           self.options.get("environment", {}).get(name))

    # ---- life ---------------------------------------------------------------------------------------------------
    def start(self, *names):
        for name in names or self.processes:
            self.processes[name].start()
        return self

    def stop(self):
        problems = []
        # Sites first, so that what they still hold reaches the archive.
        for name in sorted(self.processes, key=lambda n: (n == "archive", n.endswith("media"))):
            try:
                code = self.processes[name].stop()
                if code not in (0, None, -signal.SIGKILL):
                    problems.append(f"{name} ended with {code}: {self.processes[name].tail()}")
            except RuntimeError as error:
                problems.append(str(error))
        return problems

    def close(self, failed=False):
        for process in self.processes.values():
            process.kill()
        if not self.keep and not failed:
            shutil.rmtree(self.folder, ignore_errors=True)

    # ---- the APIs -----------------------------------------------------------------------------------------------
    def archive_url(self):
        return f"http://127.0.0.1:{self.archive_port}"

    def _http(self, method, url, token, body=None, raw=False):
        request = urllib.request.Request(url, method=method, headers={"Authorization": f"Bearer {token}"})
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                data = answer.read()
                return answer.status, data if raw else (json.loads(data) if data else None)
        except urllib.error.HTTPError as error:
            data = error.read()
            try:
                return error.code, json.loads(data)
            except ValueError:
                return error.code, {"detail": data.decode(errors="replace")}

    def archive(self, path, raw=False):
        return self._http("GET", self.archive_url() + path, self.token, raw=raw)

    def cti(self, site, method, path, body=None):
        return self._http(method, f"http://{ADDRESSES[site]}:{self.ports.cti}{path}", self.cti_token, body)

    def wait_for(self, what, condition, timeout=20):
        """Asks again until `condition` gives something true; for what only another process's API can tell."""
        deadline = time.monotonic() + timeout
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {timeout} s for {what}")
            time.sleep(0.05)

    def set_agent(self, site, dn, state):
        status, body = self.cti(site, "POST", f"/v1/agents/{dn}/state", {"state": state})
        if status != 200:
            raise RuntimeError(f"agent {dn} to {state}: {status} {body}")

    def agent_state(self, site, dn):
        status, body = self.cti(site, "GET", "/v1/agents")
        agents = body["items"] if isinstance(body, dict) and "items" in body else body
        return next((a["state"] for a in agents if a["dn"] == dn), None) if status == 200 else None

    def recording(self, calluuid):
        status, body = self.archive(f"/v1/recordings/{calluuid}")
        return body if status == 200 else None

    def recordings(self):
        return self.archive("/v1/recordings?limit=200")[1]["items"]

    def complete_recording(self, timeout=30):
        """The only recording, once every expected segment is stored and all its calls have ended."""

        def done():
            items = self.recordings()
            if len(items) != 1:
                return None
            recording = self.recording(items[0]["id"])
            return recording if recording and recording["state"] == "complete" else None

        try:
            return self.wait_for("one complete recording", done, timeout)
        except TimeoutError as error:
            raise TimeoutError(f"{error}: the archive shows "
                               f"{json.dumps([self.recording(i['id']) for i in self.recordings()])[:6000]}") from None
