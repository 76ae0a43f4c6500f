"""What lies in cluster/: units that systemd takes, manifests that hang together, examples that are read."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest
import yaml
from jobs import Inputs, Job
from processes import succeeded

MakeJob = Callable[..., Job]

CLUSTER = Path(__file__).resolve().parents[2] / "cluster"
UNITS = sorted(CLUSTER.glob("systemd/*.service"))


def test_there_are_units() -> None:
    assert [unit.name for unit in UNITS] == ["crvq-coord@.service", "crvq-worker@.service"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (Debian's systemd)")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_the_units(unit: Path, binaries: Path, tmp_path: Path) -> None:
    path = tmp_path / unit.name.replace("@.", "@head.")
    # systemd asks for programs that are there.
    path.write_text(unit.read_text().replace("/usr/local/bin", str(binaries)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path.name],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin:/usr/sbin", "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    # Of this unit: those of the machine may have faults of their own.
    lines = [line for line in done.stderr.splitlines() if path.name in line or "crvq" in line]
    assert done.returncode == 0 and not lines, done.stderr


@pytest.fixture(scope="module")
def manifests() -> dict[tuple[str, str], dict[str, Any]]:
    documents = yaml.safe_load_all((CLUSTER / "kubernetes" / "crvq.yaml").read_text())
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


def pods(manifests: dict[tuple[str, str], dict[str, Any]]) -> list[dict[str, Any]]:
    return [document["spec"]["template"] for (kind, _), document in manifests.items() if kind == "Job"]


def test_the_manifests_are_complete(manifests: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert set(manifests) == {
        ("PersistentVolumeClaim", "crvq-models"),
        ("Service", "crvq-coordinator"),
        ("Job", "crvq-coordinator"),
        ("Job", "crvq-worker"),
        ("NetworkPolicy", "crvq"),
    }
    workers = manifests["Job", "crvq-worker"]["spec"]
    assert workers["completionMode"] == "Indexed" and workers["completions"] == workers["parallelism"]


def test_the_volume_is_made_and_filled_first(manifests: dict[tuple[str, str], dict[str, Any]]) -> None:
    """By its label, which nothing else has; the pod that fills it writes as those of the job read."""
    fill = yaml.safe_load((CLUSTER / "kubernetes" / "fill.yaml").read_text())
    volumes = [name for name, document in manifests.items() if component(document) == "volume"]
    assert volumes == [("PersistentVolumeClaim", "crvq-models")]
    assert fill["spec"]["volumes"] == [{"name": "models", "persistentVolumeClaim": {"claimName": "crvq-models"}}]
    for pod in pods(manifests):
        assert pod["spec"]["securityContext"] == fill["spec"]["securityContext"]
    page = (CLUSTER / "kubernetes" / "README.md").read_text()
    for path in ("model", "tokens.safetensors"):
        assert f" crvq-fill:/models/{path}\n" in page
    coordinator = manifests["Job", "crvq-coordinator"]["spec"]["template"]["spec"]["containers"][0]
    assert "--model /models/model --calibration /models/tokens.safetensors" in coordinator["command"][-1]


def component(document: dict[str, Any]) -> str | None:
    return document["metadata"]["labels"].get("app.kubernetes.io/component")


def test_what_selects_pods_finds_them(manifests: dict[tuple[str, str], dict[str, Any]]) -> None:
    labels = [pod["metadata"]["labels"] for pod in pods(manifests)]
    selectors = [
        (manifests["Service", "crvq-coordinator"]["spec"]["selector"], 1),
        (manifests["NetworkPolicy", "crvq"]["spec"]["podSelector"]["matchLabels"], 2),
    ]
    for selector, count in selectors:
        assert sum(selector.items() <= label.items() for label in labels) == count
    (spread,) = manifests["Job", "crvq-worker"]["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"].items() <= labels[1].items()


def test_pods_mount_what_there_is_and_run_as_nobody(manifests: dict[tuple[str, str], dict[str, Any]]) -> None:
    page = (CLUSTER / "kubernetes" / "README.md").read_text()
    for pod in (pod["spec"] for pod in pods(manifests)):
        assert pod["restartPolicy"] == "OnFailure" and pod["securityContext"]["runAsNonRoot"] is True
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        containers = pod["initContainers"] + pod["containers"]
        mounted = {mount["name"] for container in containers for mount in container["volumeMounts"]}
        assert mounted == set(volumes)
        # The page makes the secret by this name.
        assert f"secret generic {volumes['secret']['secret']['secretName']} " in page
        for container in containers:
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]
            security = container["securityContext"]
            assert not security["allowPrivilegeEscalation"] and security["capabilities"]["drop"] == ["ALL"]
    # The volume can be mounted once: by the coordinator.
    claims = [[volume for volume in pod["spec"]["volumes"] if "persistentVolumeClaim" in volume] for pod in pods(manifests)]
    assert claims == [[{"name": "models", "persistentVolumeClaim": {"claimName": "crvq-models"}}], []]
    assert manifests["PersistentVolumeClaim", "crvq-models"]["spec"]["accessModes"] == ["ReadWriteOnce"]
    (coordinator,) = manifests["Job", "crvq-coordinator"]["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in coordinator["ports"]}
    for probe in ("startupProbe", "livenessProbe"):
        assert coordinator[probe]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert f"--dashboard 0.0.0.0:{ports['http']}" in coordinator["command"][-1]
    (port,) = manifests["Service", "crvq-coordinator"]["spec"]["ports"]
    assert port["port"] == ports["control"]


def test_the_workers_options_are_options(
    manifests: dict[tuple[str, str], dict[str, Any]], binaries: Path
) -> None:
    (worker,) = manifests["Job", "crvq-worker"]["spec"]["template"]["spec"]["containers"]
    # After the words of a shell, which starts the program it is given last.
    assert worker["command"][0] == "sh" and worker["command"][-1] == "crvq-worker"
    given = [argument.split("=")[0] for argument in worker["args"]]
    text = succeeded(subprocess.run([binaries / "crvq-worker", "--help"], capture_output=True, text=True, check=False))
    for option in given:
        assert f"{option} <" in text.stdout, option


def examples() -> dict[str, str]:
    """Cluster files of the pages, by page."""
    found = {}
    for page in sorted(CLUSTER.rglob("*.md")):
        for block in re.findall(r"(?:^    .*\n)+", page.read_text(), re.MULTILINE):
            if "# cluster.yaml" in block:
                found[str(page.relative_to(CLUSTER))] = re.sub(r"^    ", "", block, flags=re.MULTILINE)
    return found


def test_every_launcher_has_an_example() -> None:
    assert set(examples()) == {"ssh.md", "slurm/README.md"}


def test_the_example_for_slurm_is_planned(small: Inputs, make_job: MakeJob) -> None:
    job = make_job(small)
    file = job.directory / "cluster.yaml"
    file.write_text(examples()["slurm/README.md"].replace("ib0", "lo"))
    done = succeeded(job.run("--cluster", file, "--dry-run", "--measure-seconds", "0.5"))
    assert done.stdout.startswith("engine slurm, 8 workers\n")


def test_the_example_for_ssh_is_read(small: Inputs, make_job: MakeJob) -> None:
    """Up to the network: there are no such machines."""
    job = make_job(small)
    file = job.directory / "cluster.yaml"
    file.write_text(examples()["ssh.md"].replace("eth0", "no-such-interface"))
    done = job.run("--cluster", file, "--dry-run")
    assert done.returncode == 64 and "interface: expected one of " in done.stderr
