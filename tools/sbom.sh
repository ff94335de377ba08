#!/usr/bin/env bash
# Prints the bill of materials (CycloneDX) of the library, the service and their packages.
set -euo pipefail
cd "$(dirname "$0")/.."
exec node tools/lint/run.js cyclonedx-npm --omit dev --workspace tools/build --include-workspace-root \
  --mc-type application --output-reproducible --validate
