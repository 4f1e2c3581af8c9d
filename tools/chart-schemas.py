#!/usr/bin/env python3
"""Writes tests/chart/schemas: what the chart's objects are checked against by kubeconform, without the internet.

usage: tools/chart-schemas.py KUBERNETES [CRDS]

KUBERNETES is the folder `kubernetes-json-schema` of the Python package kubernetes-validate (1.37.0 was used). From its
strict schemas each kind that the chart makes is taken, with the definitions that it needs and no other, for the
oldest and the newest version that the chart is tested with.

CRDS is a folder of custom resource definitions in YAML, as `controller-gen crd` writes them from the Go types, in a Go
module that requires both (controller-gen 0.23.0, prometheus-operator 0.95.1 and cert-manager 1.21.2 were used):

    controller-gen crd paths=github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1 \\
        paths=github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1 output:crd:dir=CRDS

Needs PyYAML for CRDS. Descriptions are left out: they are nine tenths of the size. Run it again for a new version of
Kubernetes (VERSIONS) or a new kind (KINDS); the tests say which schema is missing.
"""

import json
import pathlib
import sys

VERSIONS = ["1.28.0", "1.37.0"]
KINDS = [
    "configmap-v1",
    "deployment-apps-v1",
    "horizontalpodautoscaler-autoscaling-v2",
    "job-batch-v1",
    "networkpolicy-networking-v1",
    "pod-v1",
    "poddisruptionbudget-policy-v1",
    "service-v1",
    "serviceaccount-v1",
]
CRD_KINDS = ["Certificate", "PrometheusRule", "ServiceMonitor"]
OUTPUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "chart" / "schemas"
REFERENCE = "/api/_definitions.json#/$defs/"


def bare(schema, is_names=False):
    """The schema without what is for people. In `properties` the keys are names, and `description` may be one."""
    if isinstance(schema, list):
        return [bare(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: bare(value, key == "properties" and not is_names)
        for key, value in schema.items()
        if is_names
        or not (key == "description" or key.startswith("x-kubernetes-") and key != "x-kubernetes-preserve-unknown-fields")
    }


def references(schema):
    """The names of the definitions that a schema refers to."""
    if isinstance(schema, list):
        for item in schema:
            yield from references(item)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                yield value.removeprefix(REFERENCE).removeprefix("#/$defs/")
            else:
                yield from references(value)


def self_contained(schema, definitions):
    """The schema with the definitions that it needs, of these."""
    needed, waiting = {}, list(references(schema))
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = definitions[name]
            waiting.extend(references(definitions[name]))
    text = json.dumps({**schema, "$defs": dict(sorted(needed.items()))})
    return json.loads(text.replace(REFERENCE, "#/$defs/"))


def strict(schema):
    """The same, refusing fields that it does not know: a CRD's would be dropped by the API server in silence."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: strict(value) for key, value in schema.items()}
    keeps = result.pop("x-kubernetes-preserve-unknown-fields", False)
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema and not keeps:
        result["additionalProperties"] = False
    return result


def write(folder, name, schema):
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(schema, separators=(",", ":"), sort_keys=True)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def main(kubernetes, crds=None):
    for version in VERSIONS:
        source = pathlib.Path(kubernetes) / f"v{version}-local-strict"
        definitions = bare(json.loads((source / "_definitions.json").read_text())["$defs"], is_names=True)
        for kind in KINDS:
            schema = bare(json.loads((source / f"{kind}.json").read_text()))
            write(OUTPUT / f"v{version}", kind, self_contained(schema, definitions))
    if crds is None:
        return
    import yaml

    for file in sorted(pathlib.Path(crds).glob("*.yaml")):
        crd = yaml.safe_load(file.read_text())["spec"]
        kind = crd["names"]["kind"]
        if kind in CRD_KINDS:
            for version in crd["versions"]:
                schema = version["schema"]["openAPIV3Schema"]
                # What every object may have, and a CRD only mentions.
                schema["properties"]["metadata"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                name = f"{kind.lower()}-{crd['group'].split('.')[0]}-{version['name']}"
                write(OUTPUT / "crds", name, strict(bare(schema)))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
