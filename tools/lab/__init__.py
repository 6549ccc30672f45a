# SPDX-License-Identifier: Apache-2.0
"""The lab: sites, an archive and simulated people on one machine, and a checker that listens to what was recorded."""
