"""`--dashboard`: what a running job says over HTTP, read by a real Prometheus where there is one."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any, Callable

import pytest
from conftest import is_fit_of_last_block
from jobs import MANUAL, Inputs, Job
from processes import Process, Programs, only_line, wait_until
from relays import Gate

MakeJob = Callable[..., Job]
GRAFANA = Path(__file__).resolve().parents[2] / "cluster" / "grafana" / "crvq.json"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN = "text/plain; version=0.0.4; charset=utf-8"
# A proxy that the environment names would look for the job on its own machine.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Answer:
    status: int
    headers: Message
    text: str


def get(url: str, **headers: str) -> Answer:
    request = urllib.request.Request(url, headers=headers)
    try:
        with OPENER.open(request, timeout=30) as response:
            return Answer(response.status, response.headers, response.read().decode())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read().decode())


def dashboard(coordinator: Process) -> str:
    """Its address, without a slash at the end."""
    found = wait_until(lambda: re.search(r"^dashboard: (http://\S+)/$", coordinator.stderr, re.M), "the dashboard is there")
    url = found[1]
    wait_until(lambda: get(f"{url}/healthz").status == 200, "the job runs")
    return url


@dataclass
class Running:
    job: Job
    coordinator: Process
    url: str
    # All metrics that there were while the worker lived.
    metrics: set[str]


@pytest.fixture(scope="module")
def running(
    binaries: Path, libzmq: Any, long: Inputs, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A job in the middle: some linears are fitted, and its worker has been killed. Tests only look at it."""
    directory = tmp_path_factory.mktemp("dashboard")
    programs = Programs(binaries, directory)
    job = Job(programs, long, directory)
    gate = Gate(libzmq, job, is_fit_of_last_block)
    try:
        coordinator = job.start(*MANUAL, "--dashboard", "0")
        url = dashboard(coordinator)
        worker = gate.worker("only")
        job.wait_until_fitted(2)

        def text_with(*names: str) -> str:
            text = get(f"{url}/metrics").text
            return text if all(name in text for name in names) else ""

        late = ("crvq_worker_resident_memory_bytes{", "crvq_linear_relative_error_ratio{")
        text = wait_until(lambda: text_with(*late), "the worker and a linear's error are known")
        resident = samples(text)['crvq_worker_resident_memory_bytes{worker="only"}']
        # A process with OpenBLAS in it, and a model of a few megabytes.
        assert 2**22 < resident < 2**32
        worker.kill()
        wait_until(lambda: text_with("crvq_workers_lost_total 1"), "the metrics say so")
        yield Running(job, coordinator, url, {re.split("[{ ]", name)[0] for name in samples(text)})
    finally:
        programs.kill_all()
        gate.close()


def samples(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_what_it_serves(running: Running) -> None:
    url, job = running.url, running.job
    index = get(f"{url}/")
    assert (index.status, index.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    for path in ("/metrics", "/status.json", "/healthz"):
        assert f"\n{path} " in index.text
    assert get(f"{url}/healthz").text == "ok\n"
    assert get(f"{url}/job.sqlite").status == 404
    with pytest.raises(urllib.error.HTTPError, match="405"):
        OPENER.open(f"{url}/healthz", data=b"stop", timeout=30)
    with OPENER.open(urllib.request.Request(f"{url}/healthz", method="HEAD"), timeout=30) as head:
        assert (head.status, head.headers["Content-Length"], head.read()) == (200, "3", b"")
    # The very form that the command prints.
    status = get(f"{url}/status.json")
    assert status.headers["Content-Type"] == "application/json"
    assert status.text.count("\n") == 1

    def still(status: dict[str, Any]) -> dict[str, Any]:
        moving = ("seconds", "progress", "tasks_per_minute", "remaining_seconds")
        return {name: value for name, value in status.items() if name not in moving}

    # The coordinator's notes of it come a moment after the worker's end.
    wait_until(
        lambda: still(json.loads(get(f"{url}/status.json").text)) == still(job.status()), "both say the same"
    )


def test_metrics_are_those_of_the_job(running: Running) -> None:
    old, new = get(f"{running.url}/metrics"), get(f"{running.url}/metrics", Accept=f"{OPEN_METRICS},text/plain;q=0.5")
    assert (old.headers["Content-Type"], new.headers["Content-Type"]) == (PLAIN, OPEN_METRICS)
    assert new.text.endswith("\n# EOF\n") and "# EOF" not in old.text
    values = samples(new.text)
    assert samples(old.text).keys() == values.keys()
    status = running.job.status()
    fits = status["fits"]
    assert values['crvq_tasks{kind="fit",state="done"}'] == fits
    assert values['crvq_task_attempts_total{kind="fit",outcome="done"}'] == status["attempts"]["fit"]["done"]
    assert values['crvq_task_duration_seconds_count{kind="fit"}'] == status["attempts"]["fit"]["done"]
    assert values['crvq_workers{state="idle"}'] == 0
    assert values["crvq_workers_lost_total"] == 1
    assert len([name for name in values if name.startswith("crvq_linear_relative_error_ratio{")]) == fits
    errors = running.job.stored_fits()
    assert errors and all(f'crvq_linear_relative_error_ratio{{block="{block}"' in new.text for block, _ in errors)
    assert values['crvq_artifact_bytes_total{source="worker",destination="coordinator"}'] > 0
    assert 0 < values["crvq_job_progress_ratio"] < 1
    assert 10e6 < values["process_resident_memory_bytes"] < 300e6


def test_metrics_keep_to_the_conventions(running: Running) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("there is no promtool (Debian's prometheus; scripts/test installs it)")
    text = get(f"{running.url}/metrics").text
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    # It would say so if they did not.
    wrong = text.replace("crvq_workers_lost_total", "crvq_workers_lost")
    done = subprocess.run(["promtool", "check", "metrics"], input=wrong, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "crvq_workers_lost" in done.stderr


@contextlib.contextmanager
def prometheus(target: str, directory: Path) -> Iterator[str]:
    """The address of a Prometheus that scrapes the target, as cluster/metrics.md has it."""
    directory.mkdir()
    config, log = directory / "prometheus.yml", directory / "log"
    scrape = {"job_name": "crvq", "scrape_interval": "1s", "static_configs": [{"targets": [target]}]}
    config.write_text(json.dumps({"scrape_configs": [scrape]}))
    options = [f"--config.file={config}", f"--storage.tsdb.path={directory}/data", "--web.listen-address=127.0.0.1:0"]
    with log.open("wb") as file:
        process = subprocess.Popen(["prometheus", *options], stdout=file, stderr=file)
    try:
        listens = re.compile(r'msg="Listening on".* address=(127\.0\.0\.1:\d+)')
        yield "http://" + wait_until(lambda: listens.search(log.read_text()), "Prometheus listens")[1]
    finally:
        process.kill()
        process.wait()


def ask(prometheus: str, expression: str) -> list[dict[str, Any]]:
    answer = get(f"{prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
    assert answer.status == 200, f"{expression}: {answer.text}"
    return json.loads(answer.text)["data"]["result"]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(GRAFANA.read_text())["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """All that the dashboard for Grafana asks, of the job that is chosen first."""
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [text.replace("$__rate_interval", "1m").replace("$instance", ".*") for text in found]


def test_prometheus_and_grafana_understand_it(running: Running, tmp_path: Path) -> None:
    """A real Prometheus takes OpenMetrics where it can have it, and is strict about it."""
    if shutil.which("prometheus") is None:
        pytest.skip("there is no prometheus (Debian's prometheus; scripts/test installs it)")
    target = running.url.removeprefix("http://")
    with prometheus(target, tmp_path / "prometheus") as server:

        def is_up() -> bool:
            try:
                return [result["value"][1] for result in ask(server, 'up{job="crvq"}')] == ["1"]
            except (OSError, AssertionError):
                return False

        wait_until(is_up, "Prometheus has read the metrics")
        (result,) = ask(server, 'crvq_tasks{kind="fit",state="done"}')
        assert float(result["value"][1]) == running.job.status()["fits"]
        for expression in expressions():
            ask(server, expression)


def test_the_dashboard_for_grafana_asks_for_what_there_is(running: Running) -> None:
    # Not there in a job without a verified block or a rate.
    known = running.metrics | {"crvq_block_output_error_ratio", "crvq_job_remaining_seconds"}
    for expression in expressions():
        names = set(re.findall(r"\b(?:crvq|process)_\w+", expression))
        assert names and names <= known, (expression, names - known)
    dashboard = json.loads(GRAFANA.read_text())
    (source,) = (variable for variable in dashboard["templating"]["list"] if variable["type"] == "datasource")
    assert all(panel["datasource"]["uid"] == f"${{{source['name']}}}" for panel in panels())
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_an_address_in_use_stops_a_job_before_it_begins(small: Inputs, make_job: MakeJob) -> None:
    job = make_job(small)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        done = job.run("--dashboard", address)
    assert done.returncode == 74
    assert only_line(done) == f"crvq-coord: --dashboard {address}: Address already in use"
    assert not job.job.exists()


@pytest.mark.parametrize("address", ["head", "127.0.0.1:65536", "http://127.0.0.1:80"])
def test_what_is_no_address(small: Inputs, make_job: MakeJob, address: str) -> None:
    done = make_job(small).run("--dashboard", address)
    assert done.returncode == 64
    assert address in only_line(done)


def test_an_address_that_others_reach_is_said_to_be_open(small: Inputs, make_job: MakeJob) -> None:
    job = make_job(small)
    coordinator = job.start(*MANUAL, "--dashboard", "0.0.0.0:0")
    wait_until(lambda: "waiting for workers" in coordinator.stderr, "the job runs")
    assert "the dashboard asks nobody who they are" in coordinator.stderr
    assert "the dashboard asks nobody who they are" in (job.job / "log" / "coordinator.log").read_text()


def test_a_job_with_a_dashboard_ends(programs: Programs, small: Inputs, make_job: MakeJob) -> None:
    """And nothing listens any more."""
    job = make_job(small)
    done = job.run("--launcher", "local", "--workers", "1", "--dashboard", "localhost:0")
    assert done.returncode == 0, done.stderr
    url = re.search(r"^dashboard: (http://\S+)/$", done.stderr, re.M)[1]
    with pytest.raises(urllib.error.URLError):
        get(f"{url}/healthz")


def test_an_evaluation_is_shown_too(programs: Programs, small: Inputs) -> None:
    """One without workers yet, so that it stays where it is."""
    what = ["--model", small.model, "--tokens", small.tokens, "--window", 25, "--max-windows", 7]
    url = dashboard(programs.start("evaluate", *what, *MANUAL, "--dashboard", "0"))
    status = json.loads(get(f"{url}/status.json").text)
    assert (status["state"], status["evaluated_windows"], status["windows"]) == ("running", 0, 7)
    found = samples(get(f"{url}/metrics").text)
    evaluations = {name: count for name, count in found.items() if name.startswith('crvq_tasks{kind="evaluate"')}
    assert sum(evaluations.values()) == 7
    assert not [name for name in found if 'kind="fit"' in name]
