"""The manifest for KubeRay: its fields are those of KubeRay's own types (v1), its command is one that exists.

The definitions of custom resources themselves are not fetched. Written down below are the names and kinds of the fields
of KubeRay's types that such a manifest may have, and of those of pods as far as it uses them.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

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
        "entrypointNumCpus": float,
        "shutdownAfterJobFinishes": bool,
        "submissionMode": str,
        "submitterConfig": {"backoffLimit": int},
        "submitterPodTemplate": POD,
        "suspend": bool,
        "ttlSecondsAfterFinished": int,
        "rayClusterSpec": {
            "rayVersion": str,
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
NEEDED = {"headGroupSpec", "groupName", "minReplicas", "maxReplicas", "rayStartParams", "template", "containers"}


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
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    assert all(isinstance(value, str) for group in groups for value in group["rayStartParams"].values())
    for group in groups:
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
    assert misfits({"spec": {"entrypoint": 1, "entryPoint": "x", "rayClusterSpec": {}}}, JOB) == [
        ".spec.entryPoint is unknown",
        ".spec.entrypoint is 1",
        ".spec.rayClusterSpec.headGroupSpec is missing",
    ]
