"""S-14: containers run as nobody, on a read-only root, without capabilities or new privileges, and
carry no secret.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from typing import Any

import pytest
import yaml

from service.settings import Settings
from tests.material import ROOT
from worker.process.memory import LEAST_BYTES, RESERVE_BYTES

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
MANIFESTS = [
    document
    for path in sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
WORKLOADS = [m for m in MANIFESTS if m["kind"] in ("Deployment", "StatefulSet")]
SECRET = re.compile(
    r"lk_[a-z0-9]+_[A-Za-z0-9_-]{20,}|whsec_|password|BEGIN [A-Z ]*PRIVATE KEY", re.IGNORECASE
)


def store_options() -> list[dict[str, str]]:
    """Return the store's options in docker-compose.yml and in the manifests."""
    (container,) = _containers(next(m for m in WORKLOADS if m["metadata"]["name"] == "valkey"))
    commands = [COMPOSE["services"]["valkey"]["command"][1:], container["args"]]
    return [dict(zip(command[::2], command[1::2], strict=True)) for command in commands]


def in_bytes(size: str) -> int:
    """Return an amount of memory as compose, Kubernetes and Valkey write it; all mean powers of
    1024.
    """
    number, unit = re.fullmatch(r"(\d+)([KMG])(?:i|b)?", size, re.IGNORECASE).groups()
    return int(number) << {"K": 10, "M": 20, "G": 30}[unit.upper()]


def _containers(workload: dict[str, Any]) -> list[dict[str, Any]]:
    containers: list[dict[str, Any]] = workload["spec"]["template"]["spec"]["containers"]
    return containers


def test_image_runs_as_nobody_with_a_health_check() -> None:
    final_stage = (ROOT / "Dockerfile").read_text().split("\nFROM ")[-1]
    instructions = [
        line.split()[0] for line in final_stage.splitlines() if re.match(r"[A-Z]+ ", line)
    ]
    assert re.search(r"^USER (?!0|root)\d+:\d+$", final_stage, re.MULTILINE)
    assert instructions.index("USER") > max(
        i for i, name in enumerate(instructions) if name in ("RUN", "COPY")
    )
    assert {"HEALTHCHECK", "CMD"} <= set(instructions)


def test_image_is_built_from_the_lock_on_a_base_of_the_builders_choice() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "-c requirements.lock" in dockerfile
    assert not re.search(r":latest", dockerfile)
    # Buildah knows no variables inside a stage's name, only a whole image named by an argument.
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${BASE}"}


def test_extras_that_images_are_built_with_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    overlays = [
        yaml.safe_load(path.read_text()) for path in sorted((ROOT / "deploy").glob("compose.*.yml"))
    ]
    chosen = [
        service["build"]["args"]["EXTRA"]
        for overlay in overlays
        for service in overlay["services"].values()
        if "build" in service
    ]

    assert chosen
    assert {extra for choice in chosen for extra in choice.split(",")} <= set(extras)


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_compose_service_is_hardened(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert service["restart"] == "unless-stopped"
    assert not service.get("privileged")
    assert not any("docker.sock" in volume for volume in service.get("volumes", []))


def test_compose_workers_and_store_have_no_way_out() -> None:
    assert COMPOSE["networks"]["inside"]["internal"] is True
    for name, service in COMPOSE["services"].items():
        if name != "api":
            assert service["networks"] == ["inside"]
            assert "ports" not in service


def test_compose_publishes_to_this_machine_only() -> None:
    assert all(port.startswith("127.0.0.1:") for port in COMPOSE["services"]["api"]["ports"])


@pytest.mark.parametrize("options", store_options(), ids=["compose", "kubernetes"])
def test_stores_neither_evict_nor_forget(options: dict[str, str]) -> None:
    assert options["--maxmemory-policy"] == "noeviction"
    assert options["--appendonly"] == "yes"


def test_stores_are_full_before_they_are_killed() -> None:
    compose, kubernetes = store_options()
    (container,) = _containers(next(m for m in WORKLOADS if m["metadata"]["name"] == "valkey"))
    resources = container["resources"]
    assert kubernetes["--maxmemory"] == "$(STORE_BYTES)"
    assert container["env"][0]["valueFrom"]["resourceFieldRef"]["resource"] == "requests.memory"

    full = [in_bytes(compose["--maxmemory"]), in_bytes(resources["requests"]["memory"])]
    killed = [
        in_bytes(COMPOSE["services"]["valkey"]["mem_limit"]),
        in_bytes(resources["limits"]["memory"]),
    ]
    assert set(full) == {Settings.model_fields["store_memory_bytes"].default}
    # A rewrite of the log copies the pages that change meanwhile.
    assert all(2 * limit >= 3 * bound for bound, limit in zip(full, killed, strict=True))


def test_compose_and_kubernetes_allow_the_same_memory() -> None:
    compose = {name: s["mem_limit"] for name, s in COMPOSE["services"].items()}
    kubernetes = {
        m["metadata"]["name"].removeprefix("likeness-"): c["resources"]["limits"]["memory"]
        for m in WORKLOADS
        for c in _containers(m)
    }

    assert {name: in_bytes(compose[name]) for name in kubernetes} == {
        name: in_bytes(limit) for name, limit in kubernetes.items()
    }
    # What a child needs to load its models, beside what its container keeps for itself.
    assert min(map(in_bytes, compose.values())) >= LEAST_BYTES + RESERVE_BYTES


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda m: m["metadata"]["name"])
def test_kubernetes_workload_is_hardened(workload: dict[str, Any]) -> None:
    pod = workload["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}

    for container in _containers(workload):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]


def test_kubernetes_selectors_meet_their_pods() -> None:
    labels = [workload["spec"]["template"]["metadata"]["labels"] for workload in WORKLOADS]
    selectors = [m["spec"]["selector"] for m in MANIFESTS if m["kind"] == "Service"]
    selectors += [
        m["spec"]["podSelector"]["matchLabels"] for m in MANIFESTS if m["kind"] == "NetworkPolicy"
    ]
    assert selectors

    for selector in selectors:
        assert any(selector.items() <= pod.items() for pod in labels)


def test_kustomization_lists_every_manifest() -> None:
    folder = ROOT / "deploy" / "kubernetes"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert sorted([*listed, "kustomization.yaml"]) == sorted(
        path.name for path in folder.glob("*.yaml")
    )


def test_deployment_files_carry_no_secret() -> None:
    files = [
        ROOT / "Dockerfile",
        ROOT / "docker-compose.yml",
        *(p for p in (ROOT / "deploy").rglob("*") if p.is_file()),
    ]
    assert [str(path) for path in files if SECRET.search(path.read_text())] == []


def test_dashboard_and_rules_use_metrics_that_exist() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus-rules.yml").read_text())
    dashboard = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    expressions += [
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])
    ]
    named = {
        name for expression in expressions for name in re.findall(r"likeness_[a-z_]+", expression)
    }
    sources = "".join(
        path.read_text()
        for package in ("service", "worker")
        for path in (ROOT / package).rglob("*.py")
    )

    stems = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in named}
    assert stems
    assert [stem for stem in stems if stem not in sources] == []


def test_every_alert_has_a_line_in_the_runbook() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus-rules.yml").read_text())
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    runbook = (ROOT / "deploy/runbook.md").read_text()
    assert alerts
    assert {alert for alert in alerts if f"| `{alert}` |" not in runbook} == set()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_alerts_do_not_double_with_two_api_processes() -> None:
    tested = ROOT / "deploy" / "prometheus-rules.test.yml"
    told = subprocess.run(
        ["promtool", "test", "rules", str(tested)], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr
