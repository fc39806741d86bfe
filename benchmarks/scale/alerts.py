"""X-11: alerts and their runbook."""

from __future__ import annotations

import re
import shutil
import subprocess

import yaml

from benchmarks.bar import Figure, bar
from tests.material import ROOT

RULES = ROOT / "deploy/prometheus-rules.yml"
TESTS = ROOT / "deploy/prometheus-rules.test.yml"
RUNBOOK = ROOT / "deploy/runbook.md"


@bar("X-11")
def alerts_with_two_processes() -> Figure:
    """promtool's tests of the alerts, with the series of two API processes; alerts without a test
    that fires them, and alerts without a line in the runbook.
    """
    # Prometheus's own tool: rules are tested by what will run them.
    if shutil.which("promtool") is None:
        return Figure("promtool is missing", "", "0", False)

    told = subprocess.run(
        ["promtool", "test", "rules", str(TESTS)], capture_output=True, text=True, check=False
    )
    print((told.stdout + told.stderr).strip())

    rules = yaml.safe_load(RULES.read_text())
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    # A test that expects nothing shows that an alert stays silent, not that it speaks.
    tested = {
        case["alertname"]
        for test in yaml.safe_load(TESTS.read_text())["tests"]
        for case in test.get("alert_rule_test", [])
        if case["exp_alerts"]
    }
    explained = set(re.findall(r"^\| `(Likeness\w+)` \|", RUNBOOK.read_text(), re.M))
    print(f"{len(alerts)} alerts; untested: {sorted(alerts - tested)};", end=" ")
    print(f"without a line in the runbook: {sorted(alerts - explained)}")

    wrong = int(told.returncode != 0) + len(alerts - tested) + len(alerts - explained)
    return Figure(wrong, "failed, untested or unexplained", "0", wrong == 0)
