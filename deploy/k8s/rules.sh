#!/bin/sh
# Print the alert and recording rules of deploy/prometheus as PrometheusRules, for the operator of Prometheus.
#
#   sh deploy/k8s/rules.sh | kubectl apply -n aegis -f -
set -eu
for file in "$(dirname "$0")"/../prometheus/rules/*.yml; do
    name=$(basename "$file" .yml)
    printf -- '---\napiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: aegis-%s}\nspec:\n' "$name"
    sed 's/^/  /' "$file"
done
