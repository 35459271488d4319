"""The manifest for KubeRay: its fields are KubeRay's (types of v1), the operator would take it, its command exists.

The definitions of custom resources are not fetched here: that of RayJob is over a megabyte long. Written down below are
the names and kinds of the fields that such a manifest may have, those that must be there, and what the operator refuses
though the fields are right. They were read in

- ray-project/kuberay: the definition of RayJob at 037e91b (before 1.4), the Go types at f6ef3f7 and 3275ee0 (about
  1.4), the operator's validation at 59939cb (about 1.4) and 0074504 (between 1.5.1 and 1.6);
- opendatahub-io/kuberay, a fork with what is newer than 1.5.1, at 309c2e2: the Go types and the validation.

Neither the tag of a release nor a cluster was at hand: which release first had what is said by KubeRay's release notes.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT
from tests.docs.test_commands import complaint

POD: dict[str, Any] = {
    "spec": {
        "restartPolicy": str,
        "terminationGracePeriodSeconds": int,
        "containers": [
            {
                "name": str,
                "image": str,
                "env": [{"name": str, "value": str}],
                "resources": {"requests": dict, "limits": dict},
                "volumeMounts": [{"name": str, "mountPath": str}],
            }
        ],
        "volumes": [{"name": str, "persistentVolumeClaim": {"claimName": str}, "emptyDir": {"sizeLimit": str}}],
    }
}
JOB: dict[str, Any] = {
    "apiVersion": str,
    "kind": str,
    "metadata": {"name": str},
    "spec": {
        "activeDeadlineSeconds": int,
        "backoffLimit": int,
        "entrypoint": str,
        "shutdownAfterJobFinishes": bool,
        "submissionMode": str,
        "submitterConfig": {"backoffLimit": int},
        "submitterPodTemplate": POD,
        "suspend": bool,
        "ttlSecondsAfterFinished": int,
        "rayClusterSpec": {
            "rayVersion": str,
            "authOptions": {"mode": str},
            "enableInTreeAutoscaling": bool,
            "headGroupSpec": {"serviceType": str, "rayStartParams": dict, "template": POD},
            "workerGroupSpecs": [
                {
                    "groupName": str,
                    "replicas": int,
                    "minReplicas": int,
                    "maxReplicas": int,
                    "numOfHosts": int,
                    "rayStartParams": dict,
                    "template": POD,
                }
            ],
        },
    },
}
# The least and the most of workers have defaults in the definition (0 and no bound), which nobody wants here.
# A job without rayClusterSpec would be one for a cluster that there is; without an entrypoint, one for nothing.
# In newer definitions rayStartParams may be left out.
NEEDED = {
    *("spec", "entrypoint", "rayClusterSpec", "headGroupSpec"),
    *("groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"),
    *("containers", "name", "mountPath", "claimName"),
}


def refusals(manifest: Any) -> list[str]:
    """What the operator refuses, or Kubernetes for it, in a manifest whose fields are known and of the right kind."""
    spec = manifest["spec"]
    cluster = spec["rayClusterSpec"]
    head, workers = cluster["headGroupSpec"], cluster.get("workerGroupSpecs", [])
    groups = [head, *workers]
    mode = spec.get("submissionMode", "K8sJobMode")
    environment = {one["name"]: one.get("value") for one in head["template"]["spec"]["containers"][0].get("env", [])}
    version = [int(part) for part in re.findall(r"\d+", cluster.get("rayVersion", ""))[:2]]
    submitter = spec.get("submitterPodTemplate")
    rules = {
        # Of it are made the names of a cluster (six characters more) and its services (ten more), of 63 at most.
        "name": re.fullmatch(r"[a-z]([-a-z0-9]{0,45}[a-z0-9])?", manifest["metadata"]["name"]),
        "submissionMode": mode in ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"),
        "backoffLimit": spec.get("backoffLimit", 0) >= 0
        and not (mode == "InteractiveMode" and spec.get("backoffLimit")),
        "activeDeadlineSeconds": spec.get("activeDeadlineSeconds", 1) > 0,
        "ttlSecondsAfterFinished": spec.get("ttlSecondsAfterFinished", 0) >= 0
        and (spec.get("shutdownAfterJobFinishes", False) or not spec.get("ttlSecondsAfterFinished")),
        "suspend": spec.get("shutdownAfterJobFinishes", False) or not spec.get("suspend"),
        # A pod of a Kubernetes job has to say what becomes of it; a submitter beside the head has no pod of its own.
        "submitterPodTemplate": submitter is None
        or (mode != "SidecarMode" and submitter["spec"].get("restartPolicy") in ("Never", "OnFailure")),
        "submitterConfig": mode != "SidecarMode" or "submitterConfig" not in spec,
        "authOptions": cluster.get("authOptions", {}).get("mode", "token") in ("token", "disabled"),
        "rayVersion": cluster.get("authOptions", {"mode": "disabled"}).get("mode") == "disabled" or version >= [2, 52],
        "serviceType": head.get("serviceType", "ClusterIP") in ("ClusterIP", "NodePort", "LoadBalancer"),
        "containers": all(group["template"]["spec"]["containers"] for group in groups),
        "rayStartParams": all(
            isinstance(value, str) and name not in ("labels", "redis-username")
            for group in groups
            for name, value in group["rayStartParams"].items()
        ),
        "replicas": all(
            0 <= group["minReplicas"] <= group.get("replicas", group["minReplicas"]) <= group["maxReplicas"] < 2**31
            for group in workers
        ),
        "groupName": len({group["groupName"] for group in workers}) == len(workers),
        "env": not {"RAY_REDIS_ADDRESS", "REDIS_USERNAME"} & environment.keys()
        and (
            cluster.get("enableInTreeAutoscaling", False)
            or environment.get("RAY_enable_autoscaler_v2") not in ("1", "true")
        ),
    }
    return [name for name, held in rules.items() if not held]


def misfits(found: Any, type_: Any, place: str = "") -> list[str]:
    """What is of another kind, has a name that there is not, or lacks one that there must be."""
    if isinstance(type_, list):
        each = found if isinstance(found, list) else [None]
        return [said for number, one in enumerate(each) for said in misfits(one, type_[0], f"{place}[{number}]")]
    if isinstance(type_, type) or not isinstance(found, dict):
        return [] if isinstance(type_, type) and type(found) is type_ else [f"{place} is {found!r}"]
    wrong = [f"{place}.{name} is unknown" for name in found.keys() - type_]
    wrong += [f"{place}.{name} is missing" for name in NEEDED & type_.keys() - found.keys()]
    for name in found.keys() & type_:
        wrong += misfits(found[name], type_[name], f"{place}.{name}")
    return wrong


def test_the_manifest_is_one() -> None:
    manifest = yaml.safe_load((ROOT / "examples/cluster/kuberay.yaml").read_text())
    assert misfits(manifest, JOB) == []
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayJob")
    cluster = manifest["spec"]["rayClusterSpec"]
    assert refusals(manifest) == []
    # Ray begins the command on the head whatever that has, as long as the command asks for nothing of its own.
    assert not [name for name in manifest["spec"] if name.startswith("entrypoint") and name != "entrypoint"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            for amounts in container["resources"].values():
                assert all(re.fullmatch(r"\d+([KMGT]i)?", str(amount)) for amount in amounts.values())
    words = shlex.split(manifest["spec"]["entrypoint"])
    assert words[0] == "phasescope"
    assert complaint(words[1:]) is None


def test_what_is_no_manifest_is_seen() -> None:
    assert sorted(misfits({"spec": {"entrypoint": 1, "entryPoint": "x", "rayClusterSpec": {}}}, JOB)) == [
        ".spec.entryPoint is unknown",
        ".spec.entrypoint is 1",
        ".spec.rayClusterSpec.headGroupSpec is missing",
    ]


@pytest.mark.parametrize(
    ("refused", "place", "value"),
    [
        ("name", "metadata.name", "p" * 48),
        ("name", "metadata.name", "0phasescope"),
        ("submissionMode", "spec.submissionMode", "K8sJob"),
        ("backoffLimit", "spec.backoffLimit", -1),
        ("backoffLimit", "spec.submissionMode", "InteractiveMode"),
        ("activeDeadlineSeconds", "spec.activeDeadlineSeconds", 0),
        ("ttlSecondsAfterFinished", "spec.ttlSecondsAfterFinished", -1),
        ("ttlSecondsAfterFinished", "spec.shutdownAfterJobFinishes", False),
        ("submitterPodTemplate", "spec.submitterPodTemplate", {"spec": {"containers": [{"name": "submitter"}]}}),
        ("authOptions", "spec.rayClusterSpec.authOptions.mode", "tokens"),
        ("rayVersion", "spec.rayClusterSpec.rayVersion", "2.51.2"),
        ("rayVersion", "spec.rayClusterSpec.rayVersion", ""),
        ("serviceType", "spec.rayClusterSpec.headGroupSpec.serviceType", "Cluster"),
        ("rayStartParams", "spec.rayClusterSpec.headGroupSpec.rayStartParams.num-cpus", 0),
        ("replicas", "spec.rayClusterSpec.workerGroupSpecs.0.minReplicas", 5),
        ("env", "spec.rayClusterSpec.headGroupSpec.template.spec.containers.0.env.0.name", "RAY_REDIS_ADDRESS"),
    ],
)
def test_what_the_operator_refuses_is_seen(refused: str, place: str, value: Any) -> None:
    manifest = yaml.safe_load((ROOT / "examples/cluster/kuberay.yaml").read_text())
    *way, last = [int(step) if step.isdigit() else step for step in place.split(".")]
    within = manifest
    for step in way:
        within = within[step]
    within[last] = value
    assert refusals(manifest) == [refused]
