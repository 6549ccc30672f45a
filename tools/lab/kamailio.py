# SPDX-License-Identifier: Apache-2.0
"""Kamailio as a stateful proxy that stays in the path: between the switch and whoever else there is."""
import signal
import socket
import subprocess
import time

CONFIG = """#!KAMAILIO
children=1
log_stderror=yes
debug=0
disable_tcp=no
tcp_children=1
auto_aliases=no
listen=udp:{here}
listen=tcp:{here}
tcp_source_ipv{version}={host}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "path.so"
loadmodule "maxfwd.so"
loadmodule "pv.so"
loadmodule "siputils.so"
loadmodule "textops.so"
modparam("rr", "enable_full_lr", 1)

request_route {{
    if (!mf_process_maxfwd_header("70")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    if (has_totag()) {{
        if (loose_route() || uri != myself) {{
            t_relay();
            exit;
        }}
        if (is_method("ACK") && t_check_trans()) {{
            t_relay();
            exit;
        }}
        if (!is_method("ACK")) sl_send_reply("481", "Call/Transaction Does Not Exist");
        exit;
    }}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) t_relay();
        exit;
    }}
    if (is_method("INVITE|REFER|SUBSCRIBE")) record_route();
    # A phone that has registered through here is called through here (RFC 3327).
    if (is_method("REGISTER")) add_path();
    if (is_present_hf("Route") && loose_route()) {{
        t_relay();
        exit;
    }}
    # What the switch sends goes where it says; what others send goes to the switch.
    if (src_ip != {switch_host}) $du = "sip:{switch}{way}";
    if (!t_relay()) sl_reply_error();
    exit;
}}
"""


class Kamailio:
    """One process group on `here`, (host, port); everything that does not come from `switch` goes there."""

    def __init__(self, folder, here, switch, transport="udp", memory_mb=32):
        def text(address):
            host = f"[{address[0]}]" if ":" in address[0] else address[0]
            return f"{host}:{address[1]}"

        self.here = here
        config = folder / "kamailio.cfg"
        host = f"[{switch[0]}]" if ":" in switch[0] else switch[0]
        config.write_text(CONFIG.format(here=text(here), version=6 if ":" in here[0] else 4, host=text(here).rsplit(":", 1)[0],
                                        switch=text(switch), switch_host=host,
                                        way=";transport=tcp" if transport == "tcp" else ""))
        self.log = open(folder / "kamailio.log", "ab")
        self.popen = subprocess.Popen(["kamailio", "-f", str(config), "-DD", "-E", "-m", str(memory_mb), "-M", "4",
                                       "-P", str(folder / "kamailio.pid"), "-Y", str(folder)],
                                      stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        self._wait_until_up()

    def _wait_until_up(self, timeout=10):
        """It takes connections once all its processes are there."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                socket.create_connection(self.here, timeout=1).close()
                return
            except OSError:
                if self.popen.poll() is not None or time.monotonic() > deadline:
                    self.close()
                    raise RuntimeError("kamailio did not start: see kamailio.log") from None
                time.sleep(0.05)

    def close(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        self.log.close()
