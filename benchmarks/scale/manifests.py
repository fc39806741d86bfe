"""X-12: the manifests, rendered as kustomize does and checked as the API server would."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from benchmarks.bar import Figure, bar
from tests.material import ROOT

DEPLOY = ROOT / "deploy"
# All but gpu, which replaces the image of every worker, the refining one's too.
TOGETHER = ("keda", "refine", "secured", "objects", "backup")
TOOLS = ("kubectl", "promtool", "checkov")
# KEDA's own kind, whose schema Kubernetes does not bring.
FOREIGN = "ScaledObject"


@bar("X-12")
def manifests_are_what_a_cluster_takes() -> Figure:
    """The manifests alone, with each component, and with all that go together: what strict
    validation refuses, and what checkov finds without a reason beside it. KEDA's queries are tested
    by promtool against the series of two API processes.
    """
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return Figure(f"{', '.join(missing)} missing", "", "0", False)

    # Read from the folder: a component that is added is checked without a change here.
    names = sorted(path.name for path in (DEPLOY / "components").iterdir())
    wrong = 0
    with tempfile.TemporaryDirectory() as directory:
        for components in ((), *((name,) for name in names), TOGETHER):
            rendered = Path(directory) / "rendered.yaml"
            rendered.write_text(_render(components))
            refused = list(_refused(rendered))
            failed, skipped = _checkov(rendered)
            print(
                f"{' + '.join(components) or 'alone'}: refused {refused}, failed {failed},", end=""
            )
            print(f" {skipped} with a reason")
            wrong += len(refused) + len(failed)

    queries = _untested_queries()
    print(f"KEDA's queries that promtool does not test: {queries}")
    wrong += len(queries)

    return Figure(wrong, "refused, failed or untested", "0", wrong == 0)


def _render(components: tuple[str, ...]) -> str:
    with tempfile.TemporaryDirectory() as directory:
        here = Path(directory)
        for folder in ("kubernetes", "components"):
            shutil.copytree(DEPLOY / folder, here / folder)

        (here / "mine").mkdir()
        chosen = {
            "resources": ["../kubernetes"],
            "components": [f"../components/{name}" for name in components],
        }
        (here / "mine" / "kustomization.yaml").write_text(yaml.safe_dump(chosen))
        return _output("kubectl", "kustomize", str(here / "mine"))


def _refused(rendered: Path) -> Iterator[str]:
    """Yield what `kubernetes-validate --strict` refuses."""
    import kubernetes_validate

    for document in yaml.safe_load_all(rendered.read_text()):
        if document["kind"] == FOREIGN:
            continue
        try:
            kubernetes_validate.validate(document, "1.31", strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{document['kind']} {document['metadata']['name']}: {error.message}"


def _checkov(rendered: Path) -> tuple[list[str], int]:
    told = subprocess.run(
        ["checkov", "-f", str(rendered), "--framework", "kubernetes", "-o", "json", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(told.stdout)
    failed = [
        f"{check['check_id']} {check['resource']}" for check in report["results"]["failed_checks"]
    ]
    return failed, int(report["summary"]["skipped"])


def _untested_queries() -> list[str]:
    """Return KEDA's queries that are in no test of promtool's; X-11 runs those tests."""
    scaling = (DEPLOY / "components" / "keda" / "scaling.yaml").read_text()
    tests = (DEPLOY / "prometheus-rules.test.yml").read_text()
    queries = re.findall(r"^ *query: (.*)$", scaling, re.M)
    return [query for query in queries if query not in tests]


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
