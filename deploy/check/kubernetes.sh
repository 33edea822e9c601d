#!/bin/sh
# The manifests: rendered by kustomize, each object held against its schema by kubeconform, strictly, custom resources
# included; then what no schema knows (manifests.py), and the configuration, by chatbridge itself.
. "$(dirname "$0")/lib.sh"
cd "$root"
with_python
go_tool kustomize sigs.k8s.io/kustomize/kustomize/v5 v5.0.3
go_tool kubeconform github.com/yannh/kubeconform/cmd/kubeconform v0.6.3

# The schemas of the custom resources, out of their CRDs: the Prometheus operator's from its Go module, Strimzi's by
# Strimzi's own generator. Its newer ones ask for a Java that Debian 12 does not have; this one knows topics as v1beta2,
# whose spec is v1's, so its schema serves for v1.
operator=v0.75.0
strimzi=0.45.0
crds=$cache/crds-$operator-$strimzi
if [ ! -d "$crds" ]; then
    say "fetching CRDs (Go module proxy, Maven Central)"
    rm -rf "$crds.part"
    mkdir -p "$crds.part/jars"
    module=$(cd / && go mod download -modcacherw -json "github.com/prometheus-operator/prometheus-operator@$operator" |
        sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    for kind in servicemonitors prometheusrules; do
        cp "$module/example/prometheus-operator-crd/monitoring.coreos.com_$kind.yaml" "$crds.part"
    done
    mvn --batch-mode --quiet --file "$here/strimzi-pom.xml" -Dstrimzi.version="$strimzi" \
        dependency:copy-dependencies -DoutputDirectory="$crds.part/jars"
    java -cp "$crds.part/jars/*" io.strimzi.crdgenerator.CrdGenerator --yaml \
        "io.strimzi.api.kafka.model.topic.KafkaTopic=$crds.part/kafkatopics.yaml" 2>"$cache/crd-generator.log"
    sed -i 's/^\(  *- *\|  *\)name: "\{0,1\}v1beta2"\{0,1\}$/\1name: v1/' "$crds.part/kafkatopics.yaml"
    rm -rf "$crds.part/jars"
    mv "$crds.part" "$crds"
fi
native=$("$python" -c 'import kubernetes_validate as k; print(k.__path__[0])')/kubernetes-json-schema
"$python" "$here/schemas.py" "$native/v1.37.0-local-strict" "$crds" "$cache/schemas"

for folder in base overlays/example overlays/webhook overlays/chatapp kafka-topics; do
    rendered=$cache/$(echo "$folder" | tr / -).yaml
    kustomize build "deploy/kubernetes/$folder" >"$rendered"
    kubeconform -strict -summary -schema-location "$cache/schemas/{{.ResourceKind}}{{.KindSuffix}}.json" \
        "$rendered" >"$cache/kubeconform" || {
        cat "$cache/kubeconform" >&2
        stop "deploy/kubernetes/$folder does not conform"
    }
    echo "$folder: $(tail -n 1 "$cache/kubeconform")"
done
deploy/kubernetes/prometheus-rule.sh | cmp - deploy/kubernetes/base/prometheusrule.yaml ||
    stop "alerts.yml has changed: deploy/kubernetes/prometheus-rule.sh >deploy/kubernetes/base/prometheusrule.yaml"
with_binary
for overlay in example webhook chatapp; do
    "$python" "$here/manifests.py" "$cache/overlays-$overlay.yaml" "$binary"
done
